// A place for what is quick, where all else is long.
//
// Functions that take seconds may hold all slots. What takes a millisecond and comes then would
// wait for one of them to end: ten thousand times as long as it takes. So one instance more than
// slots may run, of a function that is known to be quick and has none, while each slot is held by
// one that is long. Between two deliveries it moves into a slot as soon as one is free.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr double kQuickNs = 50e6;
constexpr double kLongNs = 200e6;

bool is_quick(const Function& function) {
  return function.service_ns > 0 && function.service_ns <= kQuickNs;
}

// What nobody has seen the end of may take any time.
bool is_long(const Function& function) {
  return function.service_ns == 0 || function.service_ns >= kLongNs;
}

}  // namespace

bool Core::long_ones_hold_all_slots() const {
  if (slots_taken() < options_.slots) return false;
  return std::ranges::all_of(functions_, [](const auto& entry) {
    const Function& function = *entry.second;
    return is_long(function) || std::ranges::all_of(function.instances, [](const Instance* one) {
             return one->borrowed || one->express;
           });
  });
}

bool Core::may_go_express(Function& function, Now now) {
  if (function.queue.empty() || has_nested(function) || !function.instances.empty() ||
      !is_quick(function) || !long_ones_hold_all_slots()) {
    return false;
  }
  if (!express_) return true;
  // Quick ones take turns there: whoever is idle leaves.
  if (express_->idle() && !express_->retiring) retire(*express_, now);
  return false;
}

// It is between two deliveries.
void Core::leave_express(Instance& instance, Now now) {
  if (slots_taken() >= options_.slots || someone_needs_the_slot(*instance.function, now)) return;
  instance.express = false;
  express_ = nullptr;
}

}  // namespace fanfare::worker
