// A place for what is quick, where all else is long.
//
// Functions that take seconds may hold all slots. What takes a millisecond and comes then would
// wait for one of them to end: ten thousand times as long as it takes. So one instance more than
// slots may run, of a function that is known to be quick and has none, while each slot is held by
// one that is long. Between two deliveries it moves into a slot as soon as one is free.
//
// Quick ones take turns there: whoever is idle leaves for another one, and so does, with what it
// holds, who keeps another waiting for kTurn. The next is the one that it left for. A function that
// turns out not to be quick leaves after the delivery that it is at, and waits for a slot as any.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr double kQuickNs = 50e6;
constexpr double kLongNs = 200e6;
// Long against what a change of turn costs, a fork and an end; short against what waits there.
constexpr Duration kTurn = std::chrono::milliseconds{5};
// Whoever has waited so long waits for a slot as well: somebody there takes longer than was known.
constexpr Duration kTurnComes = std::chrono::milliseconds{100};

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

// It has something to do, and nothing to do it in but the express place: none, or the one that
// leaves there for another.
bool Core::wants_express(const Function& function) const {
  const auto leaves = [this](const Instance* one) { return one == express_ && one->retiring; };
  return function.usable() && !function.paused_until && !function.queue.empty() &&
         !has_nested(function) && is_quick(function) &&
         std::ranges::all_of(function.instances, leaves) && long_ones_hold_all_slots();
}

Core::Express Core::express_for(const Function& function, Now now) const {
  if (!wants_express(function)) return Express::kNo;
  const bool anothers =
      express_next_ && express_next_ != &function && wants_express(*express_next_);
  if (!express_) return anothers ? Express::kSoon : Express::kYes;
  const Function& there = *express_->function;
  const bool stays = !express_->retiring && there.instances.size() <= there.manifest.provisioned;
  const bool late = now.steady - function.queue.front()->arrived >= kTurnComes;
  return stays || late ? Express::kNo : Express::kSoon;
}

// Another one is in the express place. It leaves for this one, which could be forked now.
void Core::ask_for_express(Function& function, Now now) {
  if (!express_ || express_->retiring) return due(now.steady + kTurn);
  const TimePoint turn_ends_at = function.queue.front()->arrived + kTurn;
  if (!express_->idle() && is_quick(*express_->function) && now.steady < turn_ends_at) {
    return due(turn_ends_at);
  }
  express_next_ = &function;
  retire(*express_, now);
}

void Core::go_express(Instance& instance) {
  instance.express = true;
  express_ = &instance;
  ++counters_.instances_express;
  // Whoever was to leave for it, and is still at work, need not.
  Function& function = *instance.function;
  if (function.room && !function.room->idle()) need_not_leave(*function.room);
}

// It is between two deliveries.
void Core::leave_express(Instance& instance, Now now) {
  const bool free =
      slots_taken() < options_.slots && !someone_needs_the_slot(*instance.function, now);
  if (free) {
    instance.express = false;
    express_ = nullptr;
  } else if (!is_quick(*instance.function)) {
    instance.retiring = true;
  }
}

}  // namespace fanfare::worker
