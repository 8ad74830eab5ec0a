// Retries and dead letters: deliveries leave the broker for `later` or for good.
//
// Both are gathered during a turn and sent in groups. Until Redis has answered, a delivery is in
// `moving`: neither lent nor waiting, so it cannot be in two places.
#include <fmt/format.h>

#include <algorithm>

#include "broker/core.h"
#include "broker/event_times.h"
#include "broker/ledger.h"
#include "store/encode.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using store::Verdict;

constexpr std::size_t kItemsMax = 128;  // 256 letters in a call hold Redis up for two milliseconds
constexpr std::size_t kBytesMax = 256 * 1024;
constexpr Duration kRepeatPause = 1s;  // when Redis is full or loading

bool moved(Verdict verdict) {
  return verdict == Verdict::kOk || verdict == Verdict::kDuplicate;
}

// What a delivery that was to be moved has ended as before, as far as the verdict tells.
std::string_view ended_elsewhere(Verdict verdict) {
  return verdict == Verdict::kFenced ? "succeeded" : "ended";
}

std::size_t effect_bytes(const store::Postpone::Item&) {
  return 0;
}
std::size_t effect_bytes(const store::Bury::Item& item) {
  return store::bytes_of(item.effects);
}

// Cuts `whole` into calls of at most kItemsMax items and kBytesMax, one larger item alone.
template <typename Call, typename Emit>
void emit_in_groups(Call whole, Emit emit) {
  auto items = std::exchange(whole.items, {});
  std::size_t bytes = 0;
  for (auto& item : items) {
    const std::size_t more = item.packed_event.size() + effect_bytes(item);
    if (!whole.items.empty() && (whole.items.size() >= kItemsMax || bytes + more > kBytesMax)) {
      Call group = whole;
      emit(std::move(group));
      whole.items.clear();
      bytes = 0;
    }
    bytes += more;
    whole.items.push_back(std::move(item));
  }
  if (!whole.items.empty()) emit(std::move(whole));
}

protocol::Status status_of(protocol::DeadReason reason) {
  return reason == protocol::DeadReason::kExpired ? protocol::Status::kExpired
                                                  : protocol::Status::kFailed;
}

}  // namespace

// The token of moves that no attempt caused: dispatch number 0 is never lent.
protocol::AttemptToken Core::own_token() const {
  return protocol::make_token(epoch_, 0);
}

// What a move leaves behind tells whoever reads it up to where attempts have been numbered. The one
// that ended may be a former broker's, taken up again: the own latest then counts.
protocol::AttemptToken Core::move_token(const Pending& delivery,
                                        protocol::AttemptToken ended) const {
  return std::max(ended, protocol::make_token(epoch_, delivery.dispatches));
}

void Core::postpone(FunctionState& function, Pending delivery, protocol::AttemptToken token,
                    std::int64_t due_ms) {
  // At its expiry it has to be looked at, too.
  if (delivery.expires_ms != 0) due_ms = std::min(due_ms, delivery.expires_ms);
  // Its successors must find its key taken, also after a restart of this broker.
  std::string key_held;
  if (delivery.ordered && function.queue.keys().is_holder(delivery.id)) {
    if (auto options = options_of(delivery.packed_event)) key_held = options->ordering_key;
  }
  endings_[&function].postpone.items.push_back({.id = delivery.id,
                                                .slot = delivery.slot,
                                                .entry_size = delivery.entry_size,
                                                .lane = delivery.lane,
                                                .origin = delivery.origin,
                                                .token = move_token(delivery, token),
                                                .due_ms = due_ms,
                                                .attempts = delivery.attempts,
                                                .accepted_ms = delivery.accepted_ms,
                                                .key_held = std::move(key_held),
                                                .packed_ledger = delivery.packed_ledger,
                                                .packed_event = delivery.packed_event.str()});
  const protocol::EventId id = delivery.id;
  delivery.due_ms = due_ms;
  function.moving.insert_or_assign(id, std::move(delivery));
}

void Core::bury(FunctionState& function, Pending delivery, protocol::AttemptToken token,
                protocol::DeadReason reason, const protocol::Failure& failure, std::string log_tail,
                Now now) {
  protocol::ResultRecord record;
  record.status = status_of(reason);
  record.error_type = failure.type;
  record.error_message = failure.message;
  record.ledger = delivery.packed_ledger;
  record.log_tail = std::move(log_tail);
  record.accepted_ms = delivery.accepted_ms;
  record.ended_ms = to_ms(now.wall);
  record.memory_limit_mb = static_cast<std::uint32_t>(function.manifest.memory_bytes >> 20);
  record.reason = reason;
  end_as(function, std::move(delivery), token, std::move(record), now);
}

// Ends a delivery without success, with this record.
void Core::end_as(FunctionState& function, Pending delivery, protocol::AttemptToken token,
                  protocol::ResultRecord record, Now now) {
  const bool cancelled = record.status == protocol::Status::kCancelled;  // it leaves no letter
  store::Bury& bury = endings_[&function].bury;
  bury.now_ms = to_ms(now.wall);
  bury.result_ttl_ms = static_cast<std::int64_t>(to_ms(function.manifest.result_ttl));
  bury.items.push_back({.id = delivery.id,
                        .slot = delivery.slot,
                        .entry_size = delivery.entry_size,
                        .lane = delivery.lane,
                        .origin = delivery.origin,
                        .token = move_token(delivery, token),
                        .status = record.status,
                        .reason = *record.reason,
                        .record = protocol::pack(record),
                        .packed_event = cancelled ? std::string{} : delivery.packed_event.str()});
  bury.items.back().effects = effects_of_burial(function, delivery, record);
  const protocol::EventId id = delivery.id;
  function.moving.insert_or_assign(id, std::move(delivery));
}

void Core::expire(FunctionState& function, Pending delivery, Now now) {
  const std::string message = expiry_message(delivery.packed_ledger);
  bury(function, std::move(delivery), own_token(), protocol::DeadReason::kExpired,
       {.type = "Expired", .message = message, .retryable = false, .retry_after_ms = {}}, {}, now);
}

void Core::flush_endings() {
  for (auto& [function, endings] : std::exchange(endings_, {})) {
    FunctionState* owner = function;
    endings.postpone.epoch = endings.bury.epoch = epoch_;
    endings.postpone.function = endings.bury.function = owner->name;
    endings.bury.dead_max_age_ms = static_cast<std::int64_t>(to_ms(options_.dead_max_age));
    endings.bury.dead_max_count = options_.dead_max_count;
    emit_in_groups(std::move(endings.postpone),
                   [&](store::Postpone group) { call(group, ForPostpone{owner, group}); });
    emit_in_groups(std::move(endings.bury),
                   [&](store::Bury group) { call(group, ForBury{owner, group}); });
  }
}

// A move that is fenced came too late: a worker that had been given up has committed. One whose
// delivery is gone tells less: it has ended somehow, and its function stores no results, or not for
// long. Redis' own counts know how, so they are asked.
void Core::count_as_moved_by_others(FunctionState& function, protocol::Origin origin,
                                    store::Verdict verdict) {
  --(origin == protocol::Origin::kLater ? function.counts.later : function.counts.open);
  if (verdict == store::Verdict::kGone) {
    ++counters_.moves_gone;
    function.recount_at = {};
    return;
  }
  ++counters_.moves_fenced;
  ++function.counts.succeeded;
}

void Core::on_postponed(ForPostpone& purpose, Result<store::Answer>& answer, Now now) {
  options_.failpoint("broker.postpone.answered");
  FunctionState& function = *purpose.function;
  const auto* result = answer ? std::get_if<store::Moved>(&*answer) : nullptr;
  if (!result) {
    store::Call repeat = purpose.call;
    repeat_later_.push_back({now.steady + kRepeatPause, std::move(repeat), std::move(purpose)});
    return;
  }
  for (std::size_t i = 0; i < purpose.call.items.size() && i < result->verdicts.size(); ++i) {
    const auto& item = purpose.call.items[i];
    auto delivery = function.moving.extract(item.id);
    const auto unwanted = function.unwanted.extract(item.id);
    if (item.origin == protocol::Origin::kMemory) memory_bytes_ -= item.packed_event.size();
    if (!moved(result->verdicts[i])) {
      count_as_moved_by_others(function, item.origin, result->verdicts[i]);
      settle(function, item.id);
      tell_cancellations(function, item.id, ended_elsewhere(result->verdicts[i]));
      continue;
    }
    function.later.release(item.id);
    function.queue.end(item.id);  // in its lane
    function.queue.keys().park(item.id, item.due_ms);
    if (item.origin != protocol::Origin::kLater) {
      --function.counts.open;
      ++function.counts.later;
    }
    if (unwanted && delivery) {
      cancel_after_move(function, std::move(delivery.mapped()), unwanted.mapped(), now);
      continue;
    }
    function.later.note_placed(item.due_ms);
  }
}

void Core::on_buried(ForBury& purpose, Result<store::Answer>& answer, Now now) {
  options_.failpoint("broker.bury.answered");
  FunctionState& function = *purpose.function;
  const auto* result = answer ? std::get_if<store::Moved>(&*answer) : nullptr;
  if (!result) {
    store::Call repeat = purpose.call;
    repeat_later_.push_back({now.steady + kRepeatPause, std::move(repeat), std::move(purpose)});
    return;
  }
  counters_.letters_trimmed += result->letters_trimmed;
  for (std::size_t i = 0; i < purpose.call.items.size() && i < result->verdicts.size(); ++i) {
    const auto& item = purpose.call.items[i];
    const bool done = moved(result->verdicts[i]);
    if (const auto delivery = function.moving.extract(item.id);
        delivery && item.origin == protocol::Origin::kMemory) {
      memory_bytes_ -= delivery.mapped().packed_event.size();
    }
    function.unwanted.erase(item.id);
    if (done && !item.effects.empty()) want_outbox(function);
    done ? count_as_buried(function, item)
         : count_as_moved_by_others(function, item.origin, result->verdicts[i]);
    if (item.reason == protocol::DeadReason::kPurged && function.purge) {
      --function.purge->under_way;
      if (done) ++function.purge->cancelled;
      touch(function);
    }
    settle(function, item.id);
    tell_cancellations(function, item.id,
                       done ? to_string(item.status) : ended_elsewhere(result->verdicts[i]));
  }
}

void Core::count_as_buried(FunctionState& function, const store::Bury::Item& item) {
  --(item.origin == protocol::Origin::kLater ? function.counts.later : function.counts.open);
  switch (item.status) {
    case protocol::Status::kExpired:
      ++counters_.deliveries_expired;
      ++function.measures.expired;
      ++function.counts.expired;
      break;
    case protocol::Status::kCancelled:
      ++counters_.deliveries_cancelled;
      ++function.measures.cancelled;
      ++function.counts.cancelled;
      break;
    default:
      ++counters_.deliveries_dead;
      ++function.measures.dead;
      ++function.counts.dead;
  }
}

}  // namespace fanfare::broker
