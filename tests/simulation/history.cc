#include "tests/simulation/history.h"

#include <algorithm>

#include "broker/claims.h"

namespace fanfare::simulation {
namespace {

using protocol::Outcome;
using store::Verdict;

std::string_view to_string(Place place) {
  static constexpr std::array<std::string_view, 6> kNames{"open", "later",   "succeeded",
                                                          "dead", "expired", "cancelled"};
  return kNames[static_cast<std::size_t>(place)];
}

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

std::optional<DeliveryKey> History::key_of(const std::string& function,
                                           const protocol::EventId& id) {
  const auto number = workload_.find(function);
  if (!number) {
    violate("somebody speaks of a function '{}' that does not exist", function);
    return std::nullopt;
  }
  return DeliveryKey{*number, id};
}

const DeliveryHistory* History::find(const DeliveryKey& key) const {
  const auto at = deliveries_.find(key);
  return at == deliveries_.end() ? nullptr : &at->second;
}

std::string History::describe(const DeliveryKey& key) const {
  std::string text = fmt::format("{} of {}", protocol::to_string(key.id),
                                 workload_.functions()[key.function].name);
  const DeliveryHistory* delivery = find(key);
  if (!delivery) return text + " (never appended)";
  text += fmt::format(
      " (event {}, {}, {} executions, {} own failures, {} losses, attempts:", delivery->tag,
      to_string(delivery->place), delivery->executions, delivery->own_failures, delivery->losses);
  for (const Attempt& attempt : delivery->attempts) {
    text += fmt::format(" {:x} at worker {}{}{}", attempt.token.value, attempt.worker,
                        attempt.received ? " received" : "", attempt.closed ? " closed" : "");
  }
  return text + ")";
}

// ---- publishers ----

Tag History::submit(FunctionSet expected, std::optional<std::int64_t> not_before_ms,
                    std::string_view packed_event) {
  Published published;
  if (const auto event = protocol::view_event(packed_event)) {
    const auto options = protocol::unpack_options(event->packed_options);
    const auto claims =
        broker::claims_of(*event, options ? options->idempotency_key : std::string{});
    if (claims && claims->id) published.claims.push_back(*claims->id);
    if (claims && claims->key) published.claims.push_back(*claims->key);
  }
  published.expected = expected;
  published.not_before_ms = not_before_ms;
  published_.push_back(published);
  return static_cast<Tag>(published_.size() - 1);
}

void History::on_receipt(Tag tag, const Result<client::Receipt>& receipt) {
  Published& published = published_[tag];
  if (!receipt) {
    const bool unknown = receipt.error().kind == ErrorKind::kReconnect;
    // Of an event that was published several times each try may fare differently.
    if (published.submissions > 1) return;
    published.fate = unknown ? Fate::kUnknown : Fate::kRefused;
    if (!unknown && published.appended) {
      violate("event {} was refused ({}) and yet lies in the journal as {}", tag,
              receipt.error().message, protocol::to_string(*published.appended));
    }
    return;
  }
  if (receipt->duplicate) return on_duplicate(tag, *receipt);
  published.fate = Fate::kAcknowledged;
  published.acknowledged = receipt->id;
  FunctionSet route = 0;
  for (const auto& name : *receipt->functions) {
    if (const auto number = workload_.find(name)) {
      route = static_cast<FunctionSet>(route | (1u << *number));
    }
  }
  if (route != published.expected) {
    violate("event {} was answered with another route than its type has", tag);
  }
  if (published.expected != 0 && published.appended != receipt->id) {
    violate("event {} was acknowledged as {}, which is not in the journal", tag,
            protocol::to_string(receipt->id));
  }
}

// Its answer speaks of the first event that had its id or its key: maybe itself.
void History::on_duplicate(Tag tag, const client::Receipt& receipt) {
  Published& published = published_[tag];
  const bool is_known = std::ranges::any_of(published.claims, [&](const store::ClaimKey& key) {
    const auto at = claimed_.find(key);
    return at != claimed_.end() && at->second == receipt.id;
  });
  if (!is_known) {
    return violate(
        "event {} was answered as a duplicate of {}, which has neither its id nor its key", tag,
        protocol::to_string(receipt.id));
  }
  if (published.appended == receipt.id) {
    published.fate = Fate::kAcknowledged;
    published.acknowledged = receipt.id;
  }
}

// No two events of one id, or one key, are journaled.
void History::check_is_first(const Published& published, const protocol::EventId& id) {
  for (const store::ClaimKey& key : published.claims) {
    const auto [first, is_first] = journaled_.emplace(key, id);
    if (is_first || first->second == id) continue;
    return violate("{} lies in the journal and has the id or the key of {}",
                   protocol::to_string(id), protocol::to_string(first->second));
  }
}

std::optional<protocol::EventId> History::some_event(Random& random) const {
  for (int tries = 0; tries < 4 && !published_.empty(); ++tries) {
    const std::size_t back = random.below(std::min<std::size_t>(published_.size(), 60));
    const auto& published = published_[published_.size() - 1 - back];
    if (published.appended) return published.appended;
  }
  return std::nullopt;
}

// ---- the store ----

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
  if (at == deliveries_.end()) {
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
    delivery.redriven = true;
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

// ---- brokers ----

void History::on_began(BrokerLife broker, std::uint32_t epoch) {
  BrokerHistory& history = brokers_[broker];
  history.epoch = epoch;
  history.began = schedule_.steady();
}

// An end that was announced stands in Redis, and for good: nothing ends twice.
void History::on_cancel_answered(const std::string& function, const protocol::EventId& id,
                                 std::string_view result) {
  const auto key = key_of(function, id);
  if (!key) return;
  const DeliveryHistory* delivery = find(*key);
  const bool cancelled = result == "cancelled" || result == "running_killed";
  if (cancelled && (!delivery || delivery->place != Place::kCancelled)) {
    return violate("{} was answered as cancelled ({})", describe(*key), result);
  }
  if (!result.starts_with("already_") || result == "already_ended") return;
  result.remove_prefix(std::string_view("already_").size());
  const std::string_view place = result == "failed" ? "dead" : result;
  if (!delivery || to_string(delivery->place) != place) {
    violate("{} was answered as ended before, as {}", describe(*key), result);
  }
}

void History::on_acknowledged(const protocol::Published& answer) {
  for (const auto& run : answer.runs) {
    if (run.fate == protocol::PublishRun::Fate::kRefused) continue;
    for (std::uint32_t n = 0; n < run.count; ++n) {
      const protocol::EventId id{run.first.entry, static_cast<std::uint8_t>(run.first.index + n)};
      for (const auto& name : answer.routes.at(run.detail)) {
        const auto key = key_of(name, id);
        if (!key) return;
        if (!find(*key)) {
          return violate("{} is acknowledged before it is journaled", describe(*key));
        }
      }
    }
  }
}

void History::on_lent(BrokerLife broker, WorkerLife worker, std::int64_t broker_wall_ms,
                      const protocol::Deliver& deliver, bool can_arrive) {
  for (const auto& delivery : deliver.deliveries) {
    if (delivery.origin == protocol::Origin::kInvoke) continue;
    const auto key = key_of(deliver.function, delivery.id);
    if (!key) return;
    lend_one(broker, worker, broker_wall_ms, *key, delivery, can_arrive);
    if (violated()) return;
  }
  if (const auto number = workload_.find(deliver.function)) check_concurrency(broker, *number);
}

void History::lend_one(BrokerLife broker, WorkerLife worker, std::int64_t broker_wall_ms,
                       const DeliveryKey& key, const protocol::Delivery& lent, bool can_arrive) {
  const auto at = deliveries_.find(key);
  if (at == deliveries_.end()) return violate("{} is lent to a worker", describe(key));
  DeliveryHistory& delivery = at->second;
  if (lent.attempt > delivery.own_failures + 1) {
    return violate("{} is lent as attempt {}", describe(key), lent.attempt);
  }
  const Published& published = published_[delivery.tag];
  if (published.not_before_ms && !delivery.redriven && broker_wall_ms < *published.not_before_ms) {
    return violate("{} is lent {} ms before its time", describe(key),
                   *published.not_before_ms - broker_wall_ms);
  }
  // One that was replaced cannot know what its successor has postponed.
  const bool acting = brokers_[broker].epoch == acting_epoch_;
  if (acting && delivery.place == Place::kLater && broker_wall_ms < delivery.due_ms) {
    return violate("{} is lent {} ms before it is due", describe(key),
                   delivery.due_ms - broker_wall_ms);
  }
  for (const Attempt& attempt : delivery.attempts) {
    if (attempt.token == lent.token) {
      return violate("{} is lent again under the token {:x}", describe(key), lent.token.value);
    }
    // One by a former broker, overtaken by a later one that has failed and been counted, may go on
    // beside the retry: whichever commits first ends the delivery.
    if (!attempt.closed && attempt.broker == broker && attempt.token > delivery.moved_by) {
      return violate("{} is lent to worker {} without need: attempt {:x} is in good hands",
                     describe(key), worker, attempt.token.value);
    }
  }
  check_key_is_free(broker, key);
  delivery.attempts.push_back({.token = lent.token, .worker = worker, .broker = broker});
  brokers_[broker].lent.insert(key);
  if (!can_arrive) return lose(delivery, delivery.attempts.back());
  under_way_[worker].push_back(key);
  lent_to_[worker].insert(key);
  lent_by_[{broker, key.function}].insert(key);
}

// Of an ordering key one broker has one delivery in good hands at a time.
void History::check_key_is_free(BrokerLife broker, const DeliveryKey& key) {
  const auto* rivals = key_order_.rivals(key.function, key.id);
  if (!rivals) return;
  for (const protocol::EventId& id : *rivals) {
    if (id == key.id) continue;
    const DeliveryHistory& rival = deliveries_.at({key.function, id});
    for (const Attempt& attempt : rival.attempts) {
      if (!attempt.closed && attempt.broker == broker && attempt.token > rival.moved_by) {
        return violate("{} is lent while {} has its ordering key", describe(key),
                       describe({key.function, id}));
      }
    }
  }
}

// Whoever ends it, and however often brokers and workers came and went: the deliveries of a key end
// in the order in which they were accepted. What is cancelled may end at any time.
void History::check_key_order(const DeliveryKey& key, Place place) {
  const auto overtaken = key_order_.on_ended(key.function, key.id);
  if (!overtaken || place == Place::kCancelled) return;
  violate("{} ends before {}, which has the same ordering key and came first", describe(key),
          describe({key.function, *overtaken}));
}

// max_concurrency bounds what one broker has lent and has no reason to think over.
void History::check_concurrency(BrokerLife broker, std::size_t function) {
  const std::uint32_t limit = workload_.functions()[function].max_concurrency;
  if (limit == 0) return;
  std::size_t live = 0;
  auto& lent = lent_by_[{broker, function}];
  std::erase_if(lent, [&](const DeliveryKey& key) {
    const auto& attempts = deliveries_.at(key).attempts;
    const auto open = std::count_if(attempts.begin(), attempts.end(), [&](const Attempt& attempt) {
      return !attempt.closed && attempt.broker == broker;
    });
    live += static_cast<std::size_t>(open);
    return open == 0;
  });
  if (live > limit) {
    violate("{} attempts of function {} are lent at once; max_concurrency is {}", live,
            workload_.functions()[function].name, limit);
  }
}

void History::on_hello_taken(BrokerLife broker, WorkerLife worker, const protocol::Hello& hello,
                             Duration grace) {
  BrokerHistory& history = brokers_[broker];
  std::set<std::pair<DeliveryKey, std::uint32_t>> named;
  const bool in_time = schedule_.steady() < history.began + grace &&
                       registered_at_[history.epoch].contains(hello.name);
  for (const auto& held : hello.held) {
    if (is_invocation(held.id)) continue;
    const auto key = key_of(held.function, held.id);
    if (!key) return;
    named.emplace(*key, held.token.value);
    const auto at = deliveries_.find(*key);
    if (at == deliveries_.end() || at->second.ended()) continue;
    auto& attempts = at->second.attempts;
    const auto attempt = std::find_if(attempts.begin(), attempts.end(),
                                      [&](const Attempt& a) { return a.token == held.token; });
    const bool goes_on =
        attempt != attempts.end() && !attempt->reported && held.token > at->second.moved_by;
    if (!goes_on) continue;
    if (in_time && attempt->broker != broker && history.lent.contains(*key)) {
      return violate("{} was lent before worker {}, which holds it and said so in time, was heard",
                     describe(*key), worker);
    }
    // Only the latest attempt can be taken up again. A broker that was replaced may have lent its
    // own after its successor did: it counts as the earlier one all the same.
    const bool is_latest = std::ranges::none_of(
        attempts, [&](const Attempt& other) { return other.token > held.token; });
    // A hello may arrive after its worker has died: nobody goes on with what it names.
    if (!is_latest || dead_workers_.contains(worker)) continue;
    attempt->closed = false;
    attempt->broker = broker;
    lent_to_[worker].insert(*key);
  }
  // What it does not name and never got was lost on the way.
  for (const DeliveryKey& key : lent_to_[worker]) {
    for (Attempt& attempt : deliveries_.at(key).attempts) {
      if (attempt.worker != worker || attempt.received) continue;
      if (!named.contains({key, attempt.token.value})) attempt.closed = true;
    }
  }
}

void History::on_done_taken(const protocol::Done& done) {
  for (const auto& row : done.all_rows()) {
    if (is_invocation(row.id)) continue;
    const auto key = key_of(row.function, row.id);
    if (!key) return;
    const auto at = deliveries_.find(*key);
    if (at == deliveries_.end()) {
      return violate("a report of {}, which was never journaled", describe(*key));
    }
    for (Attempt& attempt : at->second.attempts) {
      if (attempt.token == row.token) attempt.closed = attempt.reported = true;
    }
  }
}

void History::lose(DeliveryHistory& delivery, Attempt& attempt) {
  attempt.closed = true;
  if (attempt.reported || std::exchange(attempt.lost, true)) return;
  ++delivery.losses;
}

void History::on_worker_given_up(BrokerLife broker, WorkerLife worker, bool was_lost) {
  for (const DeliveryKey& key : lent_to_[worker]) {
    DeliveryHistory& delivery = deliveries_.at(key);
    for (Attempt& attempt : delivery.attempts) {
      if (attempt.worker != worker || attempt.broker != broker) continue;
      attempt.closed = true;
      if (was_lost) lose(delivery, attempt);
    }
  }
}

// ---- workers ----

void History::on_received(WorkerLife worker, const protocol::Deliver& deliver) {
  for (const auto& delivery : deliver.deliveries) {
    if (delivery.origin == protocol::Origin::kInvoke) continue;
    const auto key = key_of(deliver.function, delivery.id);
    if (!key) return;
    for (Attempt& attempt : deliveries_.at(*key).attempts) {
      if (attempt.token == delivery.token) attempt.received = true;
    }
    std::erase(under_way_[worker], *key);
  }
}

void History::on_connection_broken(WorkerLife worker) {
  for (const DeliveryKey& key : std::exchange(under_way_[worker], {})) {
    for (Attempt& attempt : deliveries_.at(key).attempts) {
      if (attempt.worker == worker && !attempt.received) attempt.closed = true;
    }
  }
}

void History::on_worker_died(WorkerLife worker) {
  for (const DeliveryKey& key : lent_to_[worker]) {
    DeliveryHistory& delivery = deliveries_.at(key);
    for (Attempt& attempt : delivery.attempts) {
      if (attempt.worker == worker) lose(delivery, attempt);
    }
  }
  lent_to_.erase(worker);
  under_way_.erase(worker);
  dead_workers_.insert(worker);
}

void History::on_execution(WorkerLife worker, const DeliveryKey& key, std::uint32_t attempt) {
  ++executions_;
  const auto at = deliveries_.find(key);
  if (at == deliveries_.end()) {
    return violate("worker {} runs {}", worker, describe(key));
  }
  ++at->second.executions;
  if (attempt > workload_.functions()[key.function].max_attempts) {
    violate("worker {} runs {} as attempt {}", worker, describe(key), attempt);
  }
}

void History::on_instance_failure(WorkerLife worker, const DeliveryKey& key) {
  ++instance_failures_[{worker, key}];
}

// Counts what workers report as the functions' own failures, each attempt once.
void History::on_done_sent(WorkerLife worker, const protocol::Done& done) {
  for (const auto& row : done.all_rows()) {
    if (is_invocation(row.id)) continue;
    const auto key = key_of(row.function, row.id);
    if (!key) return;
    const auto at = deliveries_.find(*key);
    if (at == deliveries_.end()) {
      return violate("worker {} reports {}", worker, describe(*key));
    }
    DeliveryHistory& delivery = at->second;
    if (row.outcome == Outcome::kOk && !judged_.contains({*key, row.token.value})) {
      return violate("worker {} reports success of {} before it is committed", worker,
                     describe(*key));
    }
    if (!protocol::counts_against_budget(row.outcome)) continue;
    if (!failures_counted_.emplace(*key, row.token.value).second) continue;
    const bool seen = instance_failures_[{worker, *key}] > 0;
    if (!seen && (row.outcome == Outcome::kFunctionError || row.outcome == Outcome::kTimeout)) {
      return violate("worker {} reports {} of {}, which did not happen", worker,
                     protocol::to_string(row.outcome), describe(*key));
    }
    if (seen) --instance_failures_[{worker, *key}];
    ++delivery.own_failures;
    if (!row.failure.retryable) delivery.refused_retry = true;
  }
}

// ---- the end ----

bool History::all_ended() const {
  return to_tell_ == 0 && std::ranges::all_of(counts_, [](const auto& counts) {
           return counts.open == 0 && counts.later == 0;
         });
}

std::string History::what_is_open() const {
  std::vector<DeliveryKey> open;
  for (const auto& [key, delivery] : deliveries_) {
    if (!delivery.ended()) open.push_back(key);
  }
  if (open.empty()) return to_tell_ == 0 ? "nothing" : fmt::format("{} ends to tell of", to_tell_);
  std::sort(open.begin(), open.end());
  return fmt::format("{} deliveries, first {}", open.size(), describe(open.front()));
}

void History::check_final() {
  for (Tag tag = 0; tag < published_.size() && !violated(); ++tag) {
    const Published& published = published_[tag];
    if (published.fate != Fate::kAcknowledged) continue;
    for (std::size_t function = 0; function < workload_.functions().size(); ++function) {
      if ((published.expected & (1u << function)) == 0) continue;
      const DeliveryKey key{function, published.acknowledged};
      const DeliveryHistory* delivery = find(key);
      if (!delivery || !delivery->ended()) {
        violate("event {} was acknowledged and is lost: {}", tag, describe(key));
      }
    }
  }
  for (const auto& [key, delivery] : deliveries_) {
    if (!violated()) check_told(key, delivery);
  }
}

}  // namespace fanfare::simulation
