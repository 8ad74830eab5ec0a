// What Redis has applied, call by call.
#include <algorithm>

#include "broker/claims.h"
#include "tests/simulation/history.h"

namespace fanfare::simulation {
namespace {

using store::Verdict;

std::int64_t& count_of(store::Surveyed::Counts& counts, Place place) {
  switch (place) {
    case Place::kOpen:
      return counts.open;
    case Place::kLater:
      return counts.later;
    case Place::kSucceeded:
      return counts.succeeded;
    case Place::kDead:
      return counts.dead;
    case Place::kExpired:
      return counts.expired;
    default:
      return counts.cancelled;
  }
}

constexpr std::uint32_t kWorkerLossesMax = 5;  // broker::CoreOptions' default

}  // namespace

void History::check_fence(std::uint32_t epoch, std::string_view what) {
  if (epoch != acting_epoch_) {
    violate("{} by the broker of epoch {} was applied while epoch {} is acting", what, epoch,
            acting_epoch_);
  }
}

void History::on_applied(const store::Call& call, const store::Answer& answer) {
  if (const auto* begun = std::get_if<store::Begun>(&answer)) {
    if (begun->epoch <= acting_epoch_) violate("epoch {} began twice", begun->epoch);
    acting_epoch_ = begun->epoch;
  } else if (const auto* append = std::get_if<store::Append>(&call)) {
    applied(*append, std::get<store::Appended>(answer));
  } else if (const auto* commit = std::get_if<store::Commit>(&call)) {
    applied(*commit, std::get<store::Committed>(answer));
  } else if (const auto* postpone = std::get_if<store::Postpone>(&call)) {
    applied(*postpone, std::get<store::Moved>(answer));
  } else if (const auto* bury = std::get_if<store::Bury>(&call)) {
    applied(*bury, std::get<store::Moved>(answer));
  } else if (const auto* redrive = std::get_if<store::Redrive>(&call)) {
    applied(*redrive, std::get<store::Moved>(answer));
  } else if (const auto* deploy = std::get_if<store::Deploy>(&call)) {
    check_fence(deploy->epoch, "a deployment");
  } else if (const auto* state = std::get_if<store::SetState>(&call)) {
    check_fence(state->epoch, "a function's new state");
  } else if (const auto* topic = std::get_if<store::SetTopics>(&call)) {
    check_fence(topic->epoch, "topics");
  } else if (const auto* note = std::get_if<store::NoteWorker>(&call)) {
    check_fence(note->epoch, "a worker's registration");
    if (note->gone) {
      registered_workers_.erase(note->name);
    } else {
      registered_workers_.insert(note->name);
    }
  } else if (const auto* meter = std::get_if<store::Meter>(&call)) {
    applied(*meter, std::get<store::Metered>(answer));
  } else if (std::holds_alternative<store::ListWorkers>(call)) {
    registered_at_[acting_epoch_] = registered_workers_;
  }
}

void History::applied(const store::Meter& call, const store::Metered& answer) {
  if (answer.repeated) return;
  std::uint64_t& metered = metered_[call.worker];
  for (const auto& row : call.rows) metered += row.usage.invocations;
  if (metered > attempts_ended_[call.worker]) {
    violate("worker {} has metered {} attempts of the {} that have ended there", call.worker,
            metered, attempts_ended_[call.worker]);
  }
}

void History::applied(const store::Append& call, const store::Appended& answer) {
  check_fence(call.epoch, "an append");
  if (answer.repeated) return;
  for (const auto& claim : call.claims) {
    const auto claimed = broker::unpack_claimed(claim.packed);
    if (!claimed || !claimed_.emplace(claim.key, claimed->event).second) {
      return violate("an append claims what is claimed, or nobody can read");
    }
  }
  for (const auto& stream : call.streams) {
    for (const auto& item : stream.items) {
      const protocol::EventId id{call.entry, item.index};
      const DeliveryHistory* delivery = append_one(stream.function, id, item.packed_event);
      if (!delivery) return;
      ++counts_[workload_.find(stream.function).value()].open;
    }
    check_bound(stream.function);
  }
  for (const auto& delayed : call.delayed) {
    for (const auto& item : delayed.items) {
      const protocol::EventId id{call.entry, item.index};
      DeliveryHistory* delivery = append_one(delayed.function, id, item.packed_event);
      if (!delivery) return;
      ++counts_[workload_.find(delayed.function).value()].later;
      delivery->place = Place::kLater;
      delivery->due_ms = item.due_ms;
      delivery->moved_by = protocol::make_token(call.epoch, 0);
    }
    check_bound(delayed.function);
  }
}

// An event is in the store now, for one of its functions. Null if it must not be.
DeliveryHistory* History::append_one(const std::string& function, const protocol::EventId& id,
                                     std::string_view packed_event) {
  const auto key = key_of(function, id);
  if (!key) return nullptr;
  auto tag = tag_of(packed_event);
  if (!tag) tag = tag_of_told(key->id, packed_event);
  if (violated()) return nullptr;
  if (!tag || *tag >= published_.size()) {
    violate("{} holds an event that nobody published", protocol::to_string(id));
    return nullptr;
  }
  Published& published = published_[*tag];
  if (published.appended && *published.appended != id) {
    violate("event {} lies in the journal twice, as {} and as {}", *tag,
            protocol::to_string(*published.appended), protocol::to_string(id));
  }
  check_is_first(published, id);
  if (published.fate == Fate::kRefused && published.submissions == 1) {
    violate("event {} was refused and is journaled now as {}", *tag, protocol::to_string(id));
  }
  if ((published.expected & (1u << key->function)) == 0) {
    violate("event {} went to function {}, which did not ask for it", *tag, function);
  }
  if (violated()) return nullptr;
  published.appended = id;
  DeliveryHistory& delivery = deliveries_[*key];
  delivery.tag = *tag;
  delivery.journaled = true;
  key_order_.on_journaled(key->function, key->id, packed_event);
  ++counts_[key->function].accepted;
  return &delivery;
}

// An event that tells of a delivery's end: there is one of each, and not before that end.
std::optional<Tag> History::tag_of_told(const protocol::EventId& id,
                                        std::string_view packed_event) {
  if (const auto at = told_.find(id); at != told_.end()) return at->second;
  const auto told = told_by(packed_event);
  const auto key = told ? key_of(told->function, told->id) : std::nullopt;
  const auto at = key ? deliveries_.find(*key) : deliveries_.end();
  if (at == deliveries_.end()) return std::nullopt;
  DeliveryHistory& delivery = at->second;
  const std::uint32_t ends = told->of_success ? delivery.to_tell_success : delivery.to_tell_failure;
  std::uint32_t& times = told->of_success ? delivery.told_success : delivery.told_failure;
  if (++times > ends) {
    violate("{} has ended so {} times and is told of for the {}th time, in {}", describe(*key),
            ends, times, protocol::to_string(id));
    return std::nullopt;
  }
  const Place place = told->of_success ? Place::kSucceeded : Place::kDead;
  const std::string& destination = destination_of(*key, place);
  const auto number = workload_.find(destination);
  const Tag tag = submit(
      number ? static_cast<FunctionSet>(1u << *number) : workload_.subscribed_to(destination),
      std::nullopt, {});
  published_[tag].cause = *key;
  published_[tag].appended = id;
  told_.emplace(id, tag);
  --to_tell_;
  return tag;
}

void History::note_to_tell(const DeliveryKey& key, DeliveryHistory& delivery) {
  if (destination_of(key, delivery.place).empty()) return;
  ++(delivery.place == Place::kSucceeded ? delivery.to_tell_success : delivery.to_tell_failure);
  ++to_tell_;
}

// Whom an end in this place is told; empty: nobody.
const std::string& History::destination_of(const DeliveryKey& key, Place place) const {
  static const std::string kNobody;
  const FunctionModel& function = workload_.functions()[key.function];
  if (place == Place::kCancelled) return kNobody;
  return place == Place::kSucceeded ? function.on_success : function.on_failure;
}

void History::check_told(const DeliveryKey& key, const DeliveryHistory& delivery) {
  if (delivery.told_success == delivery.to_tell_success &&
      delivery.told_failure == delivery.to_tell_failure) {
    return;
  }
  violate("{} has ended {} times, of which {} were told", describe(key),
          delivery.to_tell_success + delivery.to_tell_failure,
          delivery.told_success + delivery.told_failure);
}

// All brokers have the same queue_max, and only the acting one appends. It knows of everything that
// is unfinished: from the survey by which it began, which no former broker's append comes after,
// and from its own appends, which it counts from admission on. What has ended without its hearing
// makes it refuse too early, never too late. So there is nothing to add for what is on its way.
void History::check_bound(const std::string& function) {
  const auto number = workload_.find(function);
  if (!number) return;
  const auto unfinished =
      static_cast<std::uint64_t>(counts_[*number].open + counts_[*number].later);
  if (unfinished > queue_max_) {
    violate("function {} has {} unfinished deliveries; queue_max is {}", function, unfinished,
            queue_max_);
  }
}

// A delivery that a call says it has ended or moved just now: it must not have ended before.
DeliveryHistory* History::open_delivery(const DeliveryKey& key, std::string_view what) {
  const auto at = deliveries_.find(key);
  if (at == deliveries_.end() || !at->second.journaled) {
    violate("{} of {}: nothing of the kind was ever journaled", what, describe(key));
    return nullptr;
  }
  if (at->second.ended()) {
    violate("{} of {}: it had ended before", what, describe(key));
    return nullptr;
  }
  return &at->second;
}

void History::applied(const store::Commit& call, const store::Committed& answer) {
  std::size_t at = 0;
  for (const auto& group : call.groups) {
    for (const auto& item : group.items) {
      const Verdict verdict = answer.verdicts.at(at++);
      const auto key = key_of(call.function, {group.entry, item.index});
      if (!key) return;
      judged_.emplace(*key, item.token.value);
      if (verdict == Verdict::kDuplicate) {
        const DeliveryHistory* delivery = find(*key);
        if (!delivery || !delivery->ended() || delivery->ended_by != item.token) {
          return violate("a commit of {} by attempt {:x} is called a repeat", describe(*key),
                         item.token.value);
        }
      }
      if (verdict != Verdict::kOk) continue;
      DeliveryHistory* delivery = open_delivery(*key, "a commit");
      if (!delivery) return;
      if (delivery->executions == 0) {
        return violate("a commit of {}, which has never run", describe(*key));
      }
      --count_of(counts_[key->function], delivery->place);
      ++counts_[key->function].succeeded;
      delivery->place = Place::kSucceeded;
      note_to_tell(*key, *delivery);
      delivery->ended_by = item.token;
      check_key_order(*key, delivery->place);
    }
  }
}

void History::applied(const store::Postpone& call, const store::Moved& answer) {
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    const auto& item = call.items[i];
    const auto key = key_of(call.function, item.id);
    if (!key) return;
    if (answer.verdicts.at(i) != Verdict::kOk) continue;
    check_fence(call.epoch, "a postponement");
    DeliveryHistory* delivery = open_delivery(*key, "a postponement");
    if (!delivery) return;
    if (item.attempts > delivery->own_failures) {
      return violate("{} is postponed with {} attempts of its budget used up", describe(*key),
                     item.attempts);
    }
    --count_of(counts_[key->function], delivery->place);
    ++counts_[key->function].later;
    delivery->place = Place::kLater;
    delivery->due_ms = item.due_ms;
    delivery->moved_by = item.token;
  }
}

void History::check_reason(const DeliveryKey& key, const DeliveryHistory& delivery,
                           protocol::DeadReason reason) {
  using protocol::DeadReason;
  const std::uint32_t max_attempts = workload_.functions()[key.function].max_attempts;
  if (reason == DeadReason::kRetriesExhausted &&
      delivery.own_failures - delivery.failures_before < max_attempts) {
    violate("{} is buried as retries_exhausted; it may fail {} times", describe(key), max_attempts);
  }
  if (reason == DeadReason::kNotRetryable && !delivery.refused_retry) {
    violate("{} is buried as not_retryable; it never said so", describe(key));
  }
  if (reason == DeadReason::kWorkerLosses &&
      delivery.losses - delivery.losses_before < kWorkerLossesMax) {
    violate("{} is buried for its worker losses", describe(key));
  }
}

void History::applied(const store::Bury& call, const store::Moved& answer) {
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    const auto& item = call.items[i];
    const auto key = key_of(call.function, item.id);
    if (!key) return;
    if (answer.verdicts.at(i) != Verdict::kOk) continue;
    check_fence(call.epoch, "a burial");
    DeliveryHistory* delivery = open_delivery(*key, "a burial");
    if (!delivery) return;
    check_reason(*key, *delivery, item.reason);
    const bool by_operator = item.reason == protocol::DeadReason::kCancelled ||
                             item.reason == protocol::DeadReason::kPurged;
    if (by_operator != (item.status == protocol::Status::kCancelled)) {
      return violate("{} ends as {}, reason {}", describe(*key), protocol::to_string(item.status),
                     protocol::to_string(item.reason));
    }
    const Place place = item.status == protocol::Status::kExpired     ? Place::kExpired
                        : item.status == protocol::Status::kCancelled ? Place::kCancelled
                                                                      : Place::kDead;
    --count_of(counts_[key->function], delivery->place);
    ++count_of(counts_[key->function], place);
    delivery->place = place;
    note_to_tell(*key, *delivery);
    delivery->ended_by = item.token;
    check_key_order(*key, place);
  }
}

void History::applied(const store::Redrive& call, const store::Moved& answer) {
  for (std::size_t i = 0; i < call.items.size(); ++i) {
    const auto& item = call.items[i];
    const auto key = key_of(call.function, item.id);
    if (!key) return;
    if (answer.verdicts.at(i) != Verdict::kOk) continue;
    check_fence(call.epoch, "a redrive");
    const auto at = deliveries_.find(*key);
    if (at == deliveries_.end() ||
        (at->second.place != Place::kDead && at->second.place != Place::kExpired)) {
      return violate("a redrive of {}, which is no dead letter", describe(*key));
    }
    DeliveryHistory& delivery = at->second;
    --count_of(counts_[key->function], delivery.place);
    ++counts_[key->function].later;
    delivery.place = Place::kLater;
    delivery.due_ms = item.due_ms;
    delivery.moved_by = item.token;
    delivery.ended_by = {};
    delivery.result.reset();
    delivery.redriven_at = schedule_.steady();
    delivery.refused_retry = false;
    delivery.failures_before = delivery.own_failures;
    delivery.losses_before = delivery.losses;
  }
}

void History::on_counts(std::size_t function, const store::Surveyed::Counts& counts) {
  const auto& name = workload_.functions()[function].name;
  const std::int64_t sum = counts.open + counts.later + counts.succeeded + counts.dead +
                           counts.expired + counts.cancelled;
  if (counts.accepted != sum) {
    return violate("function {}: accepted {}, but the places hold {}", name, counts.accepted, sum);
  }
  const auto& own = counts_[function];
  if (counts.accepted != own.accepted || counts.open != own.open || counts.later != own.later ||
      counts.succeeded != own.succeeded || counts.dead != own.dead ||
      counts.expired != own.expired || counts.cancelled != own.cancelled) {
    violate(
        "function {}: Redis counts {} accepted, {} open, {} later, {} succeeded, {} dead, {} "
        "expired, {} cancelled; applied calls make it {}, {}, {}, {}, {}, {}, {}",
        name, counts.accepted, counts.open, counts.later, counts.succeeded, counts.dead,
        counts.expired, counts.cancelled, own.accepted, own.open, own.later, own.succeeded,
        own.dead, own.expired, own.cancelled);
  }
}

void History::on_count_row(std::size_t function, const std::string& value) {
  const std::int64_t succeeded = counts_[function].succeeded;
  if (value == std::to_string(succeeded)) return;
  violate("function {} has succeeded {} times; its row says {}",
          workload_.functions()[function].name, succeeded, value);
}

void History::on_stored_result(const DeliveryKey& key, const std::optional<std::string>& value) {
  const auto at = deliveries_.find(key);
  if (at == deliveries_.end()) return;
  DeliveryHistory& delivery = at->second;
  if (delivery.result && value != delivery.result) {
    return violate("the result of {} changed after it was committed", describe(key));
  }
  if (!delivery.ended() && value) {
    return violate("{} has a result and has not ended", describe(key));
  }
  const bool expected = delivery.ended() && workload_.functions()[key.function].results_stored;
  if (expected != value.has_value()) {
    return violate("{} {} a stored result", describe(key), value ? "has" : "has ended without");
  }
  delivery.result = value;
}

}  // namespace fanfare::simulation
