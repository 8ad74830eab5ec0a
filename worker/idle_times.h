// For how long a function's instances lie idle between two uses, and what follows for keeping them.
//
// The policy is that of Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020), sections 4.1
// and 4.2: a histogram of idle times; an instance is kept until the 99th percentile of them, and,
// if even the 5th is long, ended at once and made again shortly before that. Where the histogram
// says nothing, as with few samples or with times beyond its end, the fixed keep_alive holds.
//
// Times fall into four classes an octave from 1 ms to 4.7 h: 300 bytes a function. Old ones count
// less and less. No I/O, no clock.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/time.h"

namespace fanfare::worker {

class IdleTimes {
 public:
  void add(Duration idle);

  struct Advice {
    Duration keep{};  // from the beginning of the idle time on; 10 s to 1 h, behind back_after if
                      // it is set
    // End it at once, and have one again so long after the beginning of the idle time. None: keep
    // it meanwhile.
    std::optional<Duration> back_after;
  };
  // Nothing while the histogram says nothing.
  std::optional<Advice> advice() const;

  // An instance was ended that was idle since then: should one be needed again, that time is known.
  // The latest 8 are.
  void ended(TimePoint idle_since);
  // One had to be made: the idle time, that went on without it, is over.
  void made(TimePoint now);
  // The one that was ended last has been made again before it was needed: its idle time goes on.
  void resumed();

 private:
  static constexpr std::size_t kOctaves = 24, kPerOctave = 4;
  Duration percentile(double part) const;  // the upper end of its class

  std::array<std::uint16_t, kOctaves * kPerOctave> counts_{};
  std::uint32_t total_ = 0, beyond_ = 0;  // beyond_: of them longer than the last class
  static constexpr std::size_t kEndedMax = 8;
  std::array<TimePoint, kEndedMax> ended_{};  // the latest last
  std::size_t ended_count_ = 0;
};

}  // namespace fanfare::worker
