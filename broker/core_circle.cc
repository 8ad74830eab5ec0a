// Functions whose outboxes wait for one another's queues.
//
// A function with a full outbox is not lent: whoever publishes faster than others can take it in is
// slowed down. What its outbox waits for is room in a queue, which that queue's own function makes
// by running. Unless this one is held up in the same way, and what its outbox waits for leads back
// to where it began, in the simplest case a function that publishes to itself: then nobody would
// ever run again. So whoever waits in such a circle is lent all the same, one delivery at a time.
// Each that ends makes room for an entry, and that room is kept from publishers, who could take it
// for ever. What it publishes adds to its outbox, slowly, until the generations of its events end.
#include <unordered_set>
#include <utility>

#include "broker/core.h"

namespace fanfare::broker {

// A pass over its outbox has ended.
void Core::note_waits(FunctionState& source) {
  OutboxState& outbox = source.outbox;
  for (const auto& [function, entries] : outbox.waits_for) function->owed -= entries;
  outbox.waits_for = std::exchange(outbox.left_for, {});
  for (const auto& [function, entries] : outbox.waits_for) function->owed += entries;
  if (held_by_outbox(source)) touch(source);
}

bool Core::held_by_outbox(const FunctionState& function) const {
  return function.outbox.entries >= options_.outbox_max;
}

bool Core::waits_in_a_circle(const FunctionState& function) const {
  if (!options_.protections.open_circles) return false;
  std::vector<const FunctionState*> to_follow{&function};
  std::unordered_set<const FunctionState*> seen;
  while (!to_follow.empty()) {
    const FunctionState* const one = to_follow.back();
    to_follow.pop_back();
    for (const auto& [next, entries] : one->outbox.waits_for) {
      if (next == &function) return true;
      // Who is held by something else makes room when that is over.
      const bool waits = next->deployed && !next->registered.paused && held_by_outbox(*next);
      if (waits && seen.insert(next).second) to_follow.push_back(next);
    }
  }
  return false;
}

// Not an invocation: those have no place in the queue, and make no room by ending.
void Core::lend_one(FunctionState& function, std::size_t running_max, Now now) {
  const auto& last = function.outbox.lent_alone;
  if (last && function.leases.contains(*last)) return;
  auto invocations = std::exchange(function.invocations, {});
  lend_waiting(function, std::min(running_max, function.running() + 1), now);
  function.invocations = std::move(invocations);
}

}  // namespace fanfare::broker
