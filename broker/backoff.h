// How long something that failed is left alone: twice as long each time, up to a most.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace fanfare::broker {

class Backoff {
 public:
  constexpr Backoff(Duration first, Duration most) : first_(first), most_(most), pause_(first) {}

  // It failed (once more). Returned: until when it is left alone.
  TimePoint fail(TimePoint now) {
    until_ = now + pause_;
    pause_ = std::min(2 * pause_, most_);
    return until_;
  }
  void succeed() {
    pause_ = first_;
    until_ = {};
  }
  bool rests(TimePoint now) const { return now < until_; }

 private:
  Duration first_, most_, pause_;
  TimePoint until_;
};

// Of what Redis refuses to read: soon at first, for it may have been full of calls only.
inline constexpr Backoff kReadingBackoff{std::chrono::milliseconds{50}, std::chrono::seconds{10}};
// Of what a person has to mend.
inline constexpr Backoff kMendingBackoff{std::chrono::seconds{1}, std::chrono::seconds{10}};

}  // namespace fanfare::broker
