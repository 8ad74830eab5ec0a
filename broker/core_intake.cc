// From a publisher's batch to admitted events: taken whole or not at all, then admitted in turns.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "broker/answer.h"
#include "broker/core.h"

namespace fanfare::broker {
namespace {

using protocol::Refusal;

constexpr std::size_t kBatchEventsMax = 4096;

std::uint64_t& refusal_counter(Counters& counters, Refusal code) {
  switch (code) {
    case Refusal::kTooLarge:
      return counters.events_refused_too_large;
    case Refusal::kQueueFull:
      return counters.events_refused_queue_full;
    case Refusal::kUnavailable:
      return counters.events_refused_unavailable;
    case Refusal::kUnsupported:
      return counters.events_refused_unsupported;
    case Refusal::kNoSuchFunction:
      return counters.events_refused_no_such_function;
    default:
      return counters.events_refused_malformed;
  }
}

}  // namespace

void Core::on_publish(const Peer& peer, std::string_view frame, Now now) {
  auto publish = protocol::view_publish(frame);
  if (!publish) return refuse_unreadable(peer, frame, publish.error());
  if (!accepting()) {
    count_refused(Refusal::kUnavailable, publish->packed_events.size());
    return refuse(peer, publish->sequence, Refusal::kUnavailable,
                  draining_ ? "the broker is shutting down; publish again to its successor"
                            : "the broker is starting; try again");
  }
  if (publish->repeat && options_.protections.repeat_guard) {
    if (answer_repeat(peer, *publish)) return;
    if (options_.durability != Durability::kMemory) {
      return call(store::Recall{std::string(publish->client), publish->sequence},
                  ForRecall{peer, std::string(frame)});
    }
  }
  take_batch(peer, *publish,
             {.sequence = publish->sequence, .runs = {}, .routes = {}, .errors = {}}, now);
}

// A repeated batch that this broker knows: on its way into the journal, or answered lately.
bool Core::answer_repeat(const Peer& peer, const protocol::PublishView& publish) {
  const std::string client(publish.client);
  if (const auto open = open_batches_.find(client); open != open_batches_.end()) {
    Batch& batch = batches_.at(open->second);
    if (batch.sequence == publish.sequence) {
      batch.peer = peer;  // the answer goes to wherever the publisher is now
      return true;
    }
  }
  for (const auto* answers : {&answers_, &older_answers_}) {
    const auto at = answers->find(client);
    if (at == answers->end() || at->second.sequence != publish.sequence) continue;
    ++counters_.batches_repeated;
    send(peer, at->second);
    return true;
  }
  return false;
}

// Whether this publisher has sent a later batch: it has had its answer, or waits for it no longer.
bool Core::has_gone_on(const protocol::PublishView& publish) const {
  const std::string client(publish.client);
  const auto open = open_batches_.find(client);
  if (open != open_batches_.end() && batches_.at(open->second).sequence > publish.sequence) {
    return true;
  }
  return std::ranges::any_of(std::array{&answers_, &older_answers_}, [&](const auto* answers) {
    const auto at = answers->find(client);
    return at != answers->end() && at->second.sequence > publish.sequence;
  });
}

void Core::on_recalled(const Peer& peer, std::string_view frame, Result<store::Answer>& answer,
                       Now now) {
  const auto publish = protocol::view_publish(frame);
  // The publisher may have repeated its batch once more while Redis was asked.
  if (!publish || answer_repeat(peer, *publish)) return;
  // Or it has had its answer and gone on. Redis then may have been asked when the guard held the
  // next batch already (the question was repeated after a lost reply), and knows of this one no
  // more.
  if (has_gone_on(*publish)) {
    ++counters_.repeats_stale;
    return;
  }
  const auto* recalled = answer ? std::get_if<store::Recalled>(&*answer) : nullptr;
  auto so_far = recalled ? unpack_guard_parts(publish->sequence, recalled->packed_runs)
                         : Result<protocol::Published>(answer.error());
  if (!so_far) {
    count_refused(Refusal::kUnavailable, publish->packed_events.size());
    return refuse(peer, publish->sequence, Refusal::kUnavailable, so_far.error().message);
  }
  take_batch(peer, *publish, *std::move(so_far), now);
}

void Core::take_batch(const Peer& peer, const protocol::PublishView& publish,
                      protocol::Published so_far, Now now) {
  const std::size_t answered = events_answered(so_far);
  if (answered > 0) ++counters_.batches_repeated;
  const std::size_t events = publish.packed_events.size();
  if (answered >= events || events == 0) return send(peer, so_far);

  std::size_t bytes = 0;
  for (std::size_t i = answered; i < events; ++i) bytes += publish.packed_events[i].size();
  if (events > kBatchEventsMax) {
    return refuse_batch(peer, publish, Refusal::kTooLarge,
                        fmt::format("{} events in one batch; {} at most", events, kBatchEventsMax));
  }
  const bool full = intake_bytes() + bytes > options_.intake_bytes_max ||
                    (options_.durability == Durability::kMemory &&
                     memory_bytes_ + bytes > options_.memory_queue_bytes_max);
  if (full) {
    const char* why = "the broker holds as many events as it may; publish again a little later";
    if (answered == 0) return refuse_batch(peer, publish, Refusal::kQueueFull, why);
    // Some of them lie in the journal: this is no time to say that none was taken.
    count_refused(Refusal::kUnavailable, events);
    return refuse(peer, publish.sequence, Refusal::kUnavailable, why);
  }

  const BatchId id{next_batch_++};
  Batch& batch = batches_[id];
  batch = {
      peer,    std::string(publish.client), publish.sequence, events - answered, std::move(so_far),
      answered};
  batch.arrived = now.steady;
  open_batches_[batch.client] = id;
  Arrived& arrived = arrived_.emplace_back();
  arrived.batch = id;
  arrived.events.assign(publish.packed_events.begin() + static_cast<std::ptrdiff_t>(answered),
                        publish.packed_events.end());
  arrived_bytes_ += bytes;
}

// A batch of one event does not wait for one of thousands: every batch's first events are admitted
// in turn with the rest of those that came before. What is left of these goes in the order in which
// they came, so that the first publisher has its answer, and sends more, while the next is served.
//
// No turn of the broker's loop is so long that everybody else waits for it, and no more is admitted
// than the journal takes soon. Admitting one event takes about half a microsecond, what follows in
// the same turn as long again.
void Core::admit_in_turns(Now now) {
  const std::size_t admitted_max = 2 * options_.admitted_at_once;
  for (std::size_t admitted = 0; wants_turn() && admitted < admitted_max;) {
    newcomer_goes_ = begun_.empty() || (!newcomer_goes_ && !arrived_.empty());
    if (newcomer_goes_) {
      begun_.push_back(std::move(arrived_.front()));
      arrived_.pop_front();
    }
    const auto batch = newcomer_goes_ ? std::prev(begun_.end()) : begun_.begin();
    admitted += admit_some(*batch, now);
    if (batch->next == batch->events.size()) begun_.erase(batch);
  }
}

std::size_t Core::admit_some(Arrived& arrived, Now now) {
  const std::size_t before = incoming_.size();
  const std::size_t events =
      std::min(options_.admitted_at_once, arrived.events.size() - arrived.next);
  for (const std::size_t end = arrived.next + events; arrived.next < end; ++arrived.next) {
    SharedBytes& packed = arrived.events[arrived.next];
    arrived_bytes_ -= packed.size();
    incoming_.push_back(admit(std::move(packed), arrived.batch));
    Incoming& incoming = incoming_.back();
    incoming.run = end - arrived.next;
    incoming_bytes_ += incoming.packed_event.size();
    if (incoming.claims && want_claims(incoming, now)) arrived.looks_up = true;
  }
  // Once some of a batch wait, the rest does: its answers come in its order.
  if (arrived.looks_up) set_aside(before);
  options_.failpoint("broker.publish.admitted");
  return events;
}

// None of its events is taken, and that is final: a repeat that is under way already must not be
// taken after all.
void Core::refuse_batch(const Peer& peer, const protocol::PublishView& publish, Refusal code,
                        const std::string& message) {
  const std::size_t events = publish.packed_events.size();
  count_refused(code, events);
  protocol::Published answer{.sequence = publish.sequence, .runs = {}, .routes = {}, .errors = {}};
  for (std::size_t i = 0; i < events; ++i) add_refused(answer, code, message);
  remember_answer(std::string(publish.client), answer);
  refuse(peer, publish.sequence, code, message);
}

// Reads what the event is routed by. A bad event is refused alone, in its place in the batch.
Incoming Core::admit(SharedBytes packed, BatchId batch) {
  const auto refused = [&](Refusal code, std::string message) {
    count_refused(code, 1);
    Incoming incoming;
    incoming.batch = batch;
    incoming.refusal = protocol::PublishError{code, std::move(message)};
    return incoming;
  };
  const auto event = protocol::view_event(packed);
  if (!event) return refused(Refusal::kMalformed, event.error().message);
  if (event->data.size() > options_.event_bytes_max) {
    return refused(Refusal::kTooLarge, fmt::format("{} bytes of data; max_event_bytes is {}",
                                                   event->data.size(), options_.event_bytes_max));
  }

  Incoming incoming;
  incoming.batch = batch;
  std::string idempotency_key, to;
  if (!event->packed_options.empty()) {
    auto options = protocol::unpack_options(event->packed_options);
    if (!options) return refused(Refusal::kMalformed, options.error().message);
    if (!options->idempotency_key.empty() && options_.dedup_window == Duration::zero()) {
      return refused(Refusal::kUnsupported,
                     "this broker does not look at keys ([broker] dedup_window is 0); leave "
                     "idempotency_key out");
    }
    if (options->priority > 9) return refused(Refusal::kInvalid, "priority is 0 to 9");
    if (options->generation != 0) {
      return refused(Refusal::kInvalid,
                     "generation is for workers and brokers to say; leave it out");
    }
    apply_options(incoming, *options);
    idempotency_key = std::move(options->idempotency_key);
    to = std::move(options->to);
  }
  if (!to.empty() && !is_deployed(to)) {
    return refused(Refusal::kNoSuchFunction, fmt::format("there is no function {}", to));
  }
  if (looks_at_claims()) incoming.claims = claims_of(*event, idempotency_key, to);
  incoming.target = to.empty() ? target_of(*event) : target_named(to);
  for (const FunctionState* function : incoming.target->functions) {
    if (!function->trouble.empty()) {
      return refused(Refusal::kUnavailable, fmt::format("function {} takes no events: {}",
                                                        function->name, function->trouble));
    }
    const std::uint64_t spoken_for = function->taken() + function->owed;
    if (spoken_for < options_.queue_max || !options_.protections.bound_queues) continue;
    std::string why = fmt::format("function {} has {} deliveries waiting (queue_max)",
                                  function->name, spoken_for);
    if (!incoming.claims) return refused(Refusal::kQueueFull, std::move(why));
    // A duplicate needs no room: whether it is one will be known when it is cut.
    incoming.refusal = protocol::PublishError{Refusal::kQueueFull, std::move(why)};
    return incoming;
  }
  for (FunctionState* function : incoming.target->functions) ++function->arriving;
  incoming.packed_event = std::move(packed);
  return incoming;
}

void Core::apply_options(Incoming& incoming, const protocol::PublishOptions& options) const {
  incoming.timed = options.deliver_at || options.delay || options.expires_at || options.max_age;
  incoming.place = place_of(options);
  incoming.generation = options.generation;
}

void Core::count_refused(Refusal code, std::uint64_t events) {
  if (options_.protections.count_refusals) refusal_counter(counters_, code) += events;
}

std::shared_ptr<const Target> Core::target_of(const protocol::EventView& event) {
  const Route& route = router_.route(event);
  if (routes_forgotten_ != router_.forgotten()) {
    targets_.clear();
    routes_forgotten_ = router_.forgotten();
  }
  auto& target = targets_[&route];
  if (!target) {
    auto resolved = std::make_shared<Target>();
    resolved->names = route.functions;
    for (const auto& name : route.functions) resolved->functions.push_back(find_function(name));
    target = std::move(resolved);
  }
  return target;
}

}  // namespace fanfare::broker
