// Deliveries that an instance was handed and has not begun, because the one before them takes long:
// they go to another instance.
//
// Only functions that are quick on the average are handed several at a time. One event of theirs
// that takes long, or hangs until its time is up, would hold up those behind it.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

// Many times what a batch is meant to take (CoreOptions::batch_work), and what a fork takes.
constexpr Duration kRecallAfter = std::chrono::milliseconds{20};

}  // namespace

void Core::look_for_long_ones_soon(Now now) {
  due(now.steady + kRecallAfter);
}

void Core::recall_what_waits(Instance& instance, Now now) {
  if (instance.unfinished < 2 || instance.recalled || instance.told_to_end) return;
  if (instance.batches[0].together) return;
  const auto running = effects_.running(instance.id);
  const TimePoint since = running ? std::min(running->started_at, now.steady) : now.steady;
  if (now.steady - since < kRecallAfter) return due(since + kRecallAfter);
  take_back_waiting(instance, now);
  // What runs stays; only foul play lets it be taken, too.
  if (instance.idle()) on_instance_broken(instance.id, "it gave back what it was at", now);
}

// What it has not begun is for others.
void Core::take_back_waiting(Instance& instance, Now now) {
  instance.recalled = true;
  const std::size_t before = instance.unfinished;
  Function& function = *instance.function;
  std::vector<Held*> waiting;
  const auto kept = effects_.recall(instance.id);
  for (Batch& batch : instance.batches) {
    const auto of_batch = std::ranges::find(kept, batch.number, &InstanceHandle::Kept::batch);
    if (!batch.open() || of_batch == kept.end()) continue;
    const auto items = std::clamp(of_batch->items, batch.taken, batch.items.size());
    const auto first = batch.items.begin() + static_cast<std::ptrdiff_t>(items);
    waiting.insert(waiting.end(), first, batch.items.end());
    batch.items.erase(first, batch.items.end());
  }
  instance.unfinished = before - waiting.size();
  function.in_instances -= waiting.size();
  counters_.recalled += waiting.size();
  std::erase_if(waiting, [&](Held* held) {
    if (is_disowned(*held)) {
      hand_back(*held);
      return true;
    }
    if (!held->cancelled) return false;
    --instance.cancelled;
    drop_cancelled(*held, nullptr, now);
    return true;
  });
  function.queue.insert(function.queue.begin(), waiting.begin(), waiting.end());
  put_nested_first(function);
  touch(function);
}

}  // namespace fanfare::worker
