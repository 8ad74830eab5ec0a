// Deliveries that an operator has ended while they were here.
//
// One that waits is dropped. One that runs is stopped: its instance is ended, and its neighbours in
// the same batch go to another one without losing an attempt. One that lies in an instance behind
// others is dropped when its result comes, or stopped when its turn does. Whatever the way, it is
// reported as `cancelled` and nothing of it is committed. What has finished already is committed as
// ever; Redis refuses it if it was ended there before.
#include <signal.h>

#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr Duration kLookForItsTurn = std::chrono::milliseconds{50};

}  // namespace

void Core::on_cancel(const protocol::Cancel& message, Now now) {
  for (const auto& delivery : message.deliveries) {
    if (Function* const function = find(delivery.function)) cancel_one(*function, delivery, now);
  }
}

void Core::cancel_one(Function& function, const protocol::HeldDelivery& delivery, Now now) {
  const auto is_it = [&](const Held* held) {
    return held->id == delivery.id && held->token == delivery.token && !held->cancelled;
  };
  touch(function);
  if (const auto waiting = std::ranges::find_if(function.queue, is_it);
      waiting != function.queue.end()) {
    Held& held = **waiting;
    function.queue.erase(waiting);
    return drop_cancelled(held, nullptr, now);
  }
  for (Instance* const instance : function.instances) {
    for (Batch& batch : instance->batches) {
      const auto from = batch.items.begin() + static_cast<std::ptrdiff_t>(batch.taken);
      const auto at = std::find_if(from, batch.items.end(), is_it);
      if (at == batch.items.end()) continue;
      (*at)->cancelled = true;
      ++instance->cancelled;
      return stop_if_cancelled(*instance, now);
    }
  }
}

// Ends the instance if what it runs now was cancelled; else looks again soon.
void Core::stop_if_cancelled(Instance& instance, Now now) {
  if (instance.told_to_end) return;
  const auto running = effects_.running(instance.id);
  Held* const item = running ? cancelled_at(instance, *running) : nullptr;
  if (item) {
    instance.late = item;
    return stop(instance, StopReason::kCancel, now);
  }
  const TimePoint look_at = now.steady + kLookForItsTurn;
  instance.check_at = std::min(instance.check_at.value_or(look_at), look_at);
  due(look_at);
}

// What the instance is at, if it was cancelled; of several in one call the first that was.
Held* Core::cancelled_at(const Instance& instance, const InstanceHandle::Running& running) {
  for (const Batch& batch : instance.batches) {
    if (!batch.open() || batch.number != running.batch || !batch.together) continue;
    const auto from = batch.items.begin() + static_cast<std::ptrdiff_t>(batch.taken);
    const auto at =
        std::find_if(from, batch.items.end(), [](const Held* held) { return held->cancelled; });
    return at == batch.items.end() ? nullptr : *at;
  }
  Held* const item = item_at(instance, running);
  return item && item->cancelled ? item : nullptr;
}

// `ran`: its attempt, if it began one, complete but for the outcome.
void Core::drop_cancelled(Held& held, protocol::AttemptRow* ran, Now now) {
  ++counters_.attempts_cancelled;
  held.function->measures.ended(protocol::Outcome::kCancelled);
  protocol::Done::Row row;
  row.outcome = protocol::Outcome::kCancelled;
  row.final_status = protocol::Status::kFailed;
  row.failure = {"Cancelled", "ended by an operator", false, {}};
  if (ran) {
    ran->outcome = row.outcome;
    ran->error_type = row.failure.type;
    ran->error_message = row.failure.message;
    protocol::append_row(row.packed_row, *ran);
    report(held, *ran, now);
    meter(held, *ran, now);
  }
  report_done(held, std::move(row));
}

}  // namespace fanfare::worker
