#include "broker/rate_limit.h"

#include <algorithm>
#include <limits>

namespace fanfare::broker {
namespace {

constexpr Duration kMadeUpFor = std::chrono::milliseconds{50};

}  // namespace

void RateLimit::set(double starts_per_second) {
  if (starts_per_second <= 0) {
    interval_ = {};
    was_short_ = false;
    return;
  }
  const double ns = std::min(1e9 / starts_per_second, 1e16);  // 115 days
  interval_ = std::max<Duration>(Duration{static_cast<Duration::rep>(ns)}, Duration{1});
}

// The instant from which starts at `now` are counted.
TimePoint RateLimit::base(TimePoint now) const {
  const TimePoint earliest = was_short_ ? now - kMadeUpFor : now;
  // After a deployment with a higher rate the last interval may be longer than one is now.
  return std::max(std::min(next_, now + interval_), earliest);
}

std::size_t RateLimit::allowed(TimePoint now) {
  if (interval_ == Duration::zero()) return std::numeric_limits<std::size_t>::max();
  const TimePoint from = base(now);
  if (from > now) {
    next_ = from;
    was_short_ = true;
    return 0;
  }
  return 1 + static_cast<std::size_t>((now - from) / interval_);
}

void RateLimit::take(std::size_t count, TimePoint now) {
  if (interval_ == Duration::zero() || count == 0) return;
  next_ = base(now) + interval_ * static_cast<Duration::rep>(count);
  was_short_ = was_short_ && next_ <= now;
}

std::optional<TimePoint> RateLimit::waits_until() const {
  if (!was_short_) return std::nullopt;
  return next_;
}

}  // namespace fanfare::broker
