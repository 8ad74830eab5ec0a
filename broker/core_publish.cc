// From a publisher's batch to journaled deliveries: admit, cut into chunks, append, acknowledge.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "broker/answer.h"
#include "broker/core.h"
#include "broker/event_times.h"

namespace fanfare::broker {
namespace {

using protocol::Refusal;

constexpr std::size_t kRememberedAnswersMax = 4096;
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
    default:
      return counters.events_refused_malformed;
  }
}

// What Redis could not take is the publisher's to repeat; what it would never take, is not.
Refusal refusal_after(const Error& error) {
  return error.kind == ErrorKind::kRetryLater ? Refusal::kQueueFull : Refusal::kUnavailable;
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
  for (const auto packed : publish.packed_events) bytes += packed.size();
  if (events > kBatchEventsMax) {
    return refuse_batch(peer, publish, Refusal::kTooLarge,
                        fmt::format("{} events in one batch; {} at most", events, kBatchEventsMax));
  }
  const bool full =
      incoming_bytes_ + looking_up_bytes_ + appending_bytes_ + bytes > options_.intake_bytes_max ||
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
  open_batches_[batch.client] = id;
  const std::size_t before = incoming_.size();
  bool looks_up = false;
  for (std::size_t i = answered; i < events; ++i) {
    incoming_.push_back(admit(publish.packed_events[i], id));
    const Incoming& incoming = incoming_.back();
    incoming_bytes_ += incoming.packed_event.size();
    if (incoming.claims && want_claims(incoming, now)) looks_up = true;
  }
  if (looks_up) set_aside(before);
  options_.failpoint("broker.publish.admitted");
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
Core::Incoming Core::admit(std::string_view packed, BatchId batch) {
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
  std::string idempotency_key;
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
  }
  if (looks_at_claims()) incoming.claims = claims_of(*event, idempotency_key);
  incoming.target = target_of(*event);
  for (const FunctionState* function : incoming.target->functions) {
    if (!function->trouble.empty()) {
      return refused(Refusal::kUnavailable, fmt::format("function {} takes no events: {}",
                                                        function->name, function->trouble));
    }
    if (function->taken() < options_.queue_max || !options_.protections.bound_queues) continue;
    std::string why = fmt::format("function {} has {} deliveries waiting (queue_max)",
                                  function->name, function->taken());
    if (!incoming.claims) return refused(Refusal::kQueueFull, std::move(why));
    // A duplicate needs no room: whether it is one will be known when it is cut.
    incoming.refusal = protocol::PublishError{Refusal::kQueueFull, std::move(why)};
    return incoming;
  }
  for (FunctionState* function : incoming.target->functions) ++function->arriving;
  incoming.packed_event = packed;
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

std::shared_ptr<const Core::Target> Core::target_of(const protocol::EventView& event) {
  const Route& route = router_.route(event);
  auto& target = targets_[&route];
  if (!target) {
    auto resolved = std::make_shared<Target>();
    resolved->names = route.functions;
    for (const auto& name : route.functions) resolved->functions.push_back(find_function(name));
    target = std::move(resolved);
  }
  return target;
}

protocol::EntryId Core::next_entry(Now now) {
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(to_ms(now.wall), 1));
  // Ids only grow, also when the clock steps back or another broker's clock was ahead.
  last_entry_ = ms > last_entry_.ms ? protocol::EntryId{ms, 0}
                                    : protocol::EntryId{last_entry_.ms, last_entry_.seq + 1};
  return last_entry_;
}

// Group commit: while appends are in flight the next ones accumulate, but full chunks need not
// wait.
void Core::cut_chunks(Now now) {
  const bool memory = options_.durability == Durability::kMemory;
  while (!incoming_.empty()) {
    const bool chunk_is_full = incoming_.size() >= protocol::kChunkEventsMax ||
                               incoming_bytes_ >= protocol::kChunkBytesMax;
    if (!memory && appends_in_flight_ > 0 &&
        !(chunk_is_full && appends_in_flight_ < options_.appends_in_flight_max)) {
      return;
    }
    if (must_wait(incoming_.front(), {})) return;
    store::Append append{.epoch = epoch_, .entry = {}, .streams = {}, .guards = {}, .claims = {}};
    auto chunk = cut_chunk(now, append);
    options_.failpoint("broker.append.cut");
    if (memory) {
      accept_chunk(*chunk, now);
      continue;
    }
    if (!options_.protections.acknowledge_after_journal) {
      for (std::size_t i = 0; i < chunk->parts.size(); ++i) {
        answer_part(chunk->shares[i].first, chunk->shares[i].second, chunk->parts[i]);
      }
    }
    ++appends_in_flight_;
    appending_bytes_ += chunk->bytes;
    ++counters_.chunks_appended;
    call(std::move(append), ForAppend{std::move(chunk)});
  }
}

std::unique_ptr<Core::Chunk> Core::cut_chunk(Now now, store::Append& append) {
  const bool memory = options_.durability == Durability::kMemory;
  auto chunk = std::make_unique<Chunk>();
  chunk->entry = append.entry = next_entry(now);

  const std::size_t events_max =
      options_.protections.cut_appends ? protocol::kChunkEventsMax : incoming_.size();
  std::uint32_t index = 0;
  while (!incoming_.empty() && index + chunk->duplicates < events_max) {
    Incoming& incoming = incoming_.front();
    if (must_wait(incoming, chunk->entry)) break;
    const std::size_t bytes = incoming.packed_event.size();
    if (index > 0 && chunk->bytes + bytes > protocol::kChunkBytesMax) break;
    chunk->bytes += bytes;
    incoming_bytes_ -= bytes;

    if (chunk->shares.empty() || chunk->shares.back().first != incoming.batch) {
      chunk->shares.emplace_back(incoming.batch, 0);
      chunk->parts.emplace_back();
    }
    ++chunk->shares.back().second;
    if (const auto first = settle_claims(incoming)) {
      add_duplicate(chunk->parts.back(), first->event, *first->route);
      ++chunk->duplicates;
      incoming_.pop_front();
      continue;
    }
    if (incoming.refusal) {
      add_refused(chunk->parts.back(), incoming.refusal->code, incoming.refusal->message);
      incoming_.pop_front();
      continue;
    }

    const protocol::EventId id{chunk->entry, static_cast<std::uint8_t>(index++)};
    add_accepted(chunk->parts.back(), id, incoming.target->names);
    make_claims(incoming, id, *chunk, append);
    ++chunk->events;
    if (incoming.target->functions.empty()) ++chunk->unmatched;
    add_to_offers(*chunk, append, incoming, id, now);
    incoming_.pop_front();
  }
  chunk->note_sizes();
  if (!memory) {
    for (std::size_t i = 0; i < chunk->shares.size(); ++i) {
      Batch& batch = batches_.at(chunk->shares[i].first);
      append.guards.push_back(
          {batch.client, batch.sequence, pack_guard_part(chunk->parts[i], batch.cut)});
      batch.cut += chunk->shares[i].second;
    }
  }
  return chunk;
}

// What the event brings each of its functions, and what that writes to Redis.
void Core::add_to_offers(Chunk& chunk, store::Append& append, const Incoming& incoming,
                         const protocol::EventId& id, Now now) const {
  const bool memory = is_memory_only(chunk);
  const std::int64_t accepted_ms = to_ms(now.wall);
  // It is accepted now, and not when it came: what waited for Redis has the whole of its time.
  EventTimes times;
  if (incoming.timed) {
    if (const auto options = options_of(incoming.packed_event)) {
      times = times_of(*options, accepted_ms);
    }
  }
  for (FunctionState* function : incoming.target->functions) {
    const bool undeliverable = !chunk.caused.empty() && !function->deployed;
    if (undeliverable || (times.due_ms > accepted_ms && !memory)) {
      append_delayed(*function, id, incoming.packed_event,
                     undeliverable ? kUndeliverableDueMs : due_or_expired_ms(times), accepted_ms,
                     chunk, append);
      continue;
    }
    auto offer = std::find_if(chunk.offers.begin(), chunk.offers.end(), [&](const Offer& o) {
      return o.function == function && o.lane == incoming.place.lane;
    });
    if (offer == chunk.offers.end()) {
      const std::size_t more =
          std::min(incoming_.size() + caused_.size(), protocol::kChunkEventsMax);
      offer = chunk.offers.insert(offer, Offer{function, incoming.place.lane, {}});
      offer->deliveries.reserve(more);
      if (!memory) {
        append.streams.push_back({function->name, incoming.place.lane, {}});
        append.streams.back().items.reserve(more);
      }
    }
    const auto stream = static_cast<std::size_t>(offer - chunk.offers.begin());
    Pending& pending = offer->deliveries.emplace_back();
    pending.id = id;
    pending.slot = static_cast<std::uint8_t>(offer->deliveries.size() - 1);
    pending.lane = incoming.place.lane;
    pending.flow = incoming.place.flow;
    pending.ordered = incoming.place.ordered;
    pending.origin = memory ? protocol::Origin::kMemory : protocol::Origin::kJournal;
    pending.accepted_ms = accepted_ms;
    pending.age_from_ms = std::max(accepted_ms, times.due_ms);
    pending.due_ms = times.due_ms;
    pending.expires_ms = times.expires_ms;
    pending.generation = incoming.generation;
    pending.packed_event = incoming.packed_event;
    if (!memory) append.streams[stream].items.push_back({id.index, incoming.packed_event});
  }
}

void Core::Chunk::note_sizes() {
  for (Offer& offer : offers) {
    for (Pending& pending : offer.deliveries) {
      pending.entry_size = static_cast<std::uint16_t>(offer.deliveries.size());
    }
  }
}

std::uint64_t Core::Chunk::deliveries() const {
  std::uint64_t sum = 0;
  for (const Offer& offer : offers) sum += offer.deliveries.size();
  for (const Delayed& one : delayed) sum += one.count;
  return sum;
}

void Core::Chunk::will_not_arrive() const {
  for (const Offer& offer : offers) offer.function->arriving -= offer.deliveries.size();
  for (const Delayed& one : delayed) one.function->arriving -= one.count;
}

// What outboxes brought passes the journal in every class.
bool Core::is_memory_only(const Chunk& chunk) const {
  return options_.durability == Durability::kMemory && chunk.caused.empty();
}

void Core::on_appended(Chunk& chunk, const Result<store::Answer>& answer, Now now) {
  --appends_in_flight_;
  appending_bytes_ -= chunk.bytes;
  if (answer) return accept_chunk(chunk, now);
  ++counters_.appends_failed;
  // Redis would not take the repeat of an append whose first answer was lost. Whether the journal
  // has it only a reading of the journal can tell, and that is how a broker starts.
  if (answer.error().kind == ErrorKind::kReconnect) {
    end(reconnect("an append's outcome is unknown, starting anew: " + answer.error().message));
  }
  for (const Offer& offer : chunk.offers) check_readable(*offer.function, answer.error());
  for (const auto& one : chunk.delayed) check_readable(*one.function, answer.error());
  // Nor does a broker that was replaced know whether its first try was in time. Its successor has
  // the repeat guard, and publishers that got no answer ask it.
  if (!ended_) refuse_chunk(chunk, answer.error());
}

void Core::accept_chunk(Chunk& chunk, Now now) {
  options_.failpoint("broker.append.accepted");
  counters_.events_accepted += chunk.events;
  counters_.events_unmatched += chunk.unmatched;
  counters_.events_duplicate += chunk.duplicates;
  confirm_claims(chunk, now);
  accept_delayed(chunk);
  for (Offer& offer : chunk.offers) {
    FunctionState& function = *offer.function;
    const auto count = static_cast<std::int64_t>(offer.deliveries.size());
    counters_.deliveries_created += offer.deliveries.size();
    function.counts.accepted += count;
    function.counts.open += count;
    function.arriving -= offer.deliveries.size();
    touch(function);
    if (is_memory_only(chunk)) {
      for (Pending& pending : offer.deliveries) {
        memory_bytes_ += pending.packed_event.size();
        make_ready(function, std::move(pending), now);
      }
      continue;
    }
    // It must not pass through the window, where it would be lent, if its time had come when it
    // was cut and yet lies ahead, because the clock was set back.
    const auto may_go = [now_ms = to_ms(now.wall)](const Pending& pending) {
      return pending.due_ms <= now_ms;
    };
    std::vector<Pending> ahead;
    if (!std::ranges::all_of(offer.deliveries, may_go)) {
      const auto first_ahead =
          std::stable_partition(offer.deliveries.begin(), offer.deliveries.end(), may_go);
      ahead.assign(std::make_move_iterator(first_ahead),
                   std::make_move_iterator(offer.deliveries.end()));
      offer.deliveries.erase(first_ahead, offer.deliveries.end());
    }
    if (!function.queue.offer(offer.lane, chunk.entry, offer.deliveries)) {
      continue;  // read again from Redis
    }
    for (Pending& pending : ahead) put_off(function, pending, now);
  }
  if (options_.durability != Durability::kMemory &&
      !options_.protections.acknowledge_after_journal) {
    return;  // answered when it was cut
  }
  for (std::size_t i = 0; i < chunk.parts.size(); ++i) {
    answer_part(chunk.shares[i].first, chunk.shares[i].second, chunk.parts[i]);
  }
}

void Core::refuse_chunk(Chunk& chunk, const Error& error) {
  const Refusal code = refusal_after(error);
  count_refused(code, chunk.events + chunk.duplicates);
  release_claims(chunk);
  chunk.will_not_arrive();
  for (std::size_t i = 0; i < chunk.shares.size(); ++i) {
    protocol::Published part;
    for (const protocol::PublishRun& run : chunk.parts[i].runs) {
      for (std::uint32_t n = 0; n < run.count; ++n) {
        if (run.fate == protocol::PublishRun::Fate::kRefused) {
          const auto& refused = chunk.parts[i].errors[run.detail];
          add_refused(part, refused.code, refused.message);
        } else {
          add_refused(part, code, error.message);
        }
      }
    }
    answer_part(chunk.shares[i].first, chunk.shares[i].second, part);
  }
}

void Core::answer_part(BatchId id, std::size_t events, const protocol::Published& part) {
  const auto at = batches_.find(id);
  if (at == batches_.end()) return;
  Batch& batch = at->second;
  merge(batch.answer, part);
  batch.unanswered -= events;
  if (batch.unanswered > 0) return;

  batch.answer.sequence = batch.sequence;
  send(batch.peer, batch.answer);
  options_.failpoint("broker.publish.answered");
  remember_answer(batch.client, batch.answer);
  if (const auto open = open_batches_.find(batch.client);
      open != open_batches_.end() && open->second == id) {
    open_batches_.erase(open);
  }
  batches_.erase(at);
}

void Core::remember_answer(const std::string& client, const protocol::Published& answer) {
  if (answers_.size() >= kRememberedAnswersMax) older_answers_ = std::exchange(answers_, {});
  answers_[client] = answer;
}

}  // namespace fanfare::broker
