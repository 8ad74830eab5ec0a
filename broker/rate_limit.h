// How many attempts of a function may start per second, over all workers: `rate` in its manifest.
//
// Starts are paced, not bunched: after a pause one may start at once and the next 1/rate later, so
// any second sees at most `rate` starts and one. What could have started while the broker itself
// was late is made up for, up to 50 ms' worth. What is above the rate waits where it is.
//
// The pace belongs to the function, not to its manifest: a deployment with another rate goes on
// from the last start. A restarted broker begins anew, which may bring one start too early.
//
// No clock: callers pass `now`.
#pragma once

#include <cstddef>
#include <optional>

#include "base/time.h"

namespace fanfare::broker {

class RateLimit {
 public:
  void set(double starts_per_second);  // 0 = as many as like

  // How many may start at `now`.
  std::size_t allowed(TimePoint now);
  // `count` have started; at most as many as were allowed at this `now`.
  void take(std::size_t count, TimePoint now);
  // Until when nothing may start; nothing unless allowed() has just said 0.
  std::optional<TimePoint> waits_until() const;

 private:
  TimePoint base(TimePoint now) const;

  Duration interval_{};     // 0: no limit
  TimePoint next_;          // the next start
  bool was_short_ = false;  // something waits for next_ since then
};

}  // namespace fanfare::broker
