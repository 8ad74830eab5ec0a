// Events that are not to run yet go into `later` with the append itself: one write, and no way by
// which a crash could let them run early (decision 18).
#include <algorithm>

#include "broker/core.h"

namespace fanfare::broker {

void Core::append_delayed(FunctionState& function, const protocol::EventId& id,
                          const SharedBytes& packed_event, std::int64_t due_ms,
                          std::int64_t accepted_ms, Chunk& chunk, store::Append& append) {
  auto place = std::ranges::find(chunk.delayed, &function, &Chunk::Delayed::function);
  if (place == chunk.delayed.end()) {
    place = chunk.delayed.insert(place, {&function, due_ms, 0});
    append.delayed.push_back({function.name, {}});
  }
  place->first_due_ms = std::min(place->first_due_ms, due_ms);
  ++place->count;
  const auto number = static_cast<std::size_t>(place - chunk.delayed.begin());
  append.delayed[number].items.push_back({id.index, due_ms, accepted_ms, packed_event});
}

void Core::accept_delayed(const Chunk& chunk) {
  for (const auto& [function, first_due_ms, count] : chunk.delayed) {
    counters_.deliveries_created += count;
    function->measures.created += count;
    function->counts.accepted += static_cast<std::int64_t>(count);
    function->counts.later += static_cast<std::int64_t>(count);
    function->arriving -= count;
    function->later.note_placed(first_due_ms);
    touch(*function);
    // It was under way when a purge read these rows.
    if (function->purge && chunk.entry <= function->purge->up_to) {
      function->purge->read_again_from(first_due_ms);
    }
  }
}

}  // namespace fanfare::broker
