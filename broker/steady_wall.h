// The wall time that a broker goes by while it lives.
//
// Delays, retries and expiries are instants of the wall clock, for they must outlive the broker.
// Were that clock set forward by an hour, an hour's delays would be over at once. So a broker takes
// the time of day when it starts and counts on from there by a clock that nobody sets: what is put
// off for so long runs after so long, whatever is done to the wall clock meanwhile.
//
// Up to kFollowed of a difference is followed, as leap seconds and small corrections bring it
// about. A larger one is kept off until the broker is started anew, which a line in its log
// advises. One of more than kUnset is taken at once: then the clock had not been set when the
// broker started (a machine without a battery), and no delay is right by it.
//
// No clock, no I/O: whoever has read both clocks asks. Not thread-safe.
#pragma once

#include <chrono>

#include "base/time.h"

namespace fanfare::broker {

class SteadyWall {
 public:
  static constexpr std::chrono::milliseconds kFollowed{500};
  static constexpr std::chrono::hours kUnset{24};

  // `steady` counts on while the machine is suspended, too.
  SteadyWall(std::chrono::nanoseconds steady, WallTime wall) : began_(steady), began_wall_(wall) {}

  // The time to go by when the two clocks say this.
  WallTime at(std::chrono::nanoseconds steady, WallTime wall);

  // By how much the machine's clock was ahead (or behind) when asked last, if that is not followed.
  std::chrono::milliseconds kept_off() const { return kept_off_; }

 private:
  std::chrono::nanoseconds began_;
  WallTime began_wall_;
  std::chrono::milliseconds kept_off_{0};
};

}  // namespace fanfare::broker
