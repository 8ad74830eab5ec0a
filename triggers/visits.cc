#include "triggers/visits.h"

#include <algorithm>

namespace fanfare::triggers {

bool Visits::admit(std::string_view name, std::uint32_t per_minute_max, TimePoint now) {
  const auto known = by_name_.find(name);
  if (known != by_name_.end()) {
    visitors_.splice(visitors_.begin(), visitors_, known->second);
  } else {
    if (visitors_.size() == kNamesMax) {
      by_name_.erase(visitors_.back().name);
      visitors_.pop_back();
    }
    visitors_.push_front({std::string{name}, static_cast<double>(per_minute_max), now});
    by_name_.emplace(visitors_.front().name, visitors_.begin());
  }
  Visitor& visitor = visitors_.front();
  const double minutes = std::chrono::duration<double, std::ratio<60>>(now - visitor.seen).count();
  visitor.left = std::min<double>(per_minute_max, visitor.left + minutes * per_minute_max);
  visitor.seen = now;
  if (visitor.left < 1) return false;
  visitor.left -= 1;
  return true;
}

}  // namespace fanfare::triggers
