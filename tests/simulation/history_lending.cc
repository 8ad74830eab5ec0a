// What brokers lend and workers run.
#include <algorithm>

#include "tests/simulation/history.h"

namespace fanfare::simulation {

using protocol::Outcome;

// ---- brokers ----

void History::on_began(BrokerLife broker, std::uint32_t epoch) {
  BrokerHistory& history = brokers_[broker];
  history.epoch = epoch;
  history.began = schedule_.steady();
}

// An end that was announced stands in Redis, and for good: nothing ends twice. But for a dead
// letter, which a redrive may have taken back since the question was asked.
void History::on_cancel_answered(const std::string& function, const protocol::EventId& id,
                                 std::string_view result, TimePoint asked_at) {
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
  if (place == "dead" && delivery && delivery->redriven_at >= asked_at) return;
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
    if (deliver.early) deliveries_.try_emplace(*key);
    lend_one(broker, worker, broker_wall_ms, *key, delivery, can_arrive);
    if (violated()) return;
    deliveries_.at(*key).attempts.back().early = deliver.early;
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
  if (delivery.journaled) {
    const Published& published = published_[delivery.tag];
    if (published.not_before_ms && !delivery.redriven_at &&
        broker_wall_ms < *published.not_before_ms) {
      return violate("{} is lent {} ms before its time", describe(key),
                     *published.not_before_ms - broker_wall_ms);
    }
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
  // What it does not name and never got was lost on the way; what came early is nobody's then.
  for (const DeliveryKey& key : lent_to_[worker]) {
    for (Attempt& attempt : deliveries_.at(key).attempts) {
      if (attempt.worker != worker || (attempt.received && !attempt.early)) continue;
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

}  // namespace fanfare::simulation
