#include "base/log.h"

namespace fanfare {

std::optional<std::uint64_t> LogThrottle::allow(TimePoint now) {
  if (last_ && now - *last_ < period_) {
    ++swallowed_;
    return std::nullopt;
  }
  last_ = now;
  return std::exchange(swallowed_, 0);
}

}  // namespace fanfare
