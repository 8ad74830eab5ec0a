// From admitted events to journaled deliveries: cut into chunks, append, acknowledge.
#include <fmt/format.h>

#include <algorithm>

#include "broker/answer.h"
#include "broker/core.h"
#include "broker/event_times.h"

namespace fanfare::broker {
namespace {

using protocol::Hop;
using protocol::Refusal;

constexpr std::size_t kRememberedAnswersMax = 4096;

// What Redis could not take is the publisher's to repeat; what it would never take, is not.
Refusal refusal_after(const Error& error) {
  return error.kind == ErrorKind::kRetryLater ? Refusal::kQueueFull : Refusal::kUnavailable;
}

}  // namespace

protocol::EntryId Core::next_entry(Now now) {
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(to_ms(now.wall), 1));
  // Ids only grow, also when the clock steps back or another broker's clock was ahead.
  last_entry_ = ms > last_entry_.ms ? protocol::EntryId{ms, 0}
                                    : protocol::EntryId{last_entry_.ms, last_entry_.seq + 1};
  return last_entry_;
}

// What waits is lent from memory as long as the window takes it all, and is read from the journal
// once it does not, which costs the throughput a quarter. So while a window fills, its function is
// given time: Redis has its commits to do, between the appends of what it cannot run yet.
std::uint32_t Core::appends_at_once() const {
  const Target* target = incoming_.front().target.get();
  const bool fills = target != nullptr &&
                     std::ranges::any_of(target->functions, [](const FunctionState* function) {
                       return function->queue.fills();
                     });
  return fills ? 1 : options_.appends_in_flight_max;
}

// Group commit: while appends are in flight the next ones accumulate, but full chunks need not
// wait.
void Core::cut_chunks(Now now) {
  const bool memory = options_.durability == Durability::kMemory;
  while (!incoming_.empty()) {
    const bool chunk_is_full = incoming_.size() >= protocol::kChunkEventsMax ||
                               incoming_bytes_ >= protocol::kChunkBytesMax;
    if (!memory && appends_in_flight_ > 0 &&
        !(chunk_is_full && appends_in_flight_ < appends_at_once())) {
      return;
    }
    if (must_wait(incoming_.front(), {})) return;
    store::Append append{.epoch = epoch_, .entry = {}, .streams = {}, .guards = {}, .claims = {}};
    append.beside = layout_ >= 2;
    auto chunk = cut_chunk(now, append);
    options_.failpoint("broker.append.cut");
    if (options_.tracepoint) [[unlikely]]
      trace_arrival(*chunk);
    if (memory) {
      accept_chunk(*chunk, now);
      continue;
    }
    if (!options_.protections.acknowledge_after_journal) {
      for (std::size_t i = 0; i < chunk->parts.size(); ++i) {
        answer_part(chunk->shares[i].first, chunk->shares[i].second, chunk->parts[i], now);
      }
    }
    ++appends_in_flight_;
    appending_bytes_ += chunk->bytes;
    ++counters_.chunks_appended;
    chunk->sent = now.steady;
    Chunk& sent = *chunk;
    call(std::move(append), ForAppend{std::move(chunk)});
    options_.tracepoint(Hop::kWritten, sent.entry);
    start_early(sent, now);
  }
}

// When the first of its batches was read.
void Core::trace_arrival(const Chunk& chunk) const {
  if (chunk.shares.empty()) return;
  const auto batch = batches_.find(chunk.shares.front().first);
  if (batch != batches_.end()) {
    options_.tracepoint(Hop::kArrived, chunk.entry, batch->second.arrived);
  }
}

// As if none of its functions had an event in the append yet.
bool Core::has_streams_left(const store::Append& append, const Incoming& incoming) {
  if (!incoming.target) return true;  // it is refused
  return append.streams.size() + append.delayed.size() + incoming.target->functions.size() <=
         store::kAppendStreamsMax;
}

std::unique_ptr<Chunk> Core::cut_chunk(Now now, store::Append& append) {
  const bool memory = options_.durability == Durability::kMemory;
  auto chunk = std::make_unique<Chunk>();
  chunk->entry = append.entry = next_entry(now);

  const std::size_t events_max =
      options_.protections.cut_appends ? protocol::kChunkEventsMax : incoming_.size();
  std::uint32_t index = 0;
  while (!incoming_.empty() && index + chunk->duplicates < events_max) {
    Incoming& incoming = incoming_.front();
    if (must_wait(incoming, chunk->entry)) break;
    // Each batch in a chunk costs a write to the repeat guard: runs are not split to fill it up.
    const bool other_batch = !chunk->shares.empty() && chunk->shares.back().first != incoming.batch;
    if (other_batch && index + chunk->duplicates + incoming.run > events_max) break;
    const std::size_t bytes = incoming.packed_event.size();
    if (index > 0 && chunk->bytes + bytes > protocol::kChunkBytesMax) break;
    if (index > 0 && !has_streams_left(append, incoming)) break;
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
      guard_of(batch, append).packed_runs += pack_guard_part(chunk->parts[i], batch.cut);
      batch.cut += chunk->shares[i].second;
    }
  }
  return chunk;
}

// The guard keeps one value for each entry: slices of one batch, with others between them, share
// it.
store::Append::Guard& Core::guard_of(const Batch& batch, store::Append& append) {
  if (batch.cut > 0) {
    const auto earlier = std::ranges::find_if(append.guards, [&](const auto& guard) {
      return guard.sequence == batch.sequence && guard.client == batch.client;
    });
    if (earlier != append.guards.end()) return *earlier;
  }
  return append.guards.emplace_back(store::Append::Guard{batch.client, batch.sequence, {}});
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

void Chunk::note_sizes() {
  for (Offer& offer : offers) {
    for (Pending& pending : offer.deliveries) {
      pending.entry_size = static_cast<std::uint16_t>(offer.deliveries.size());
    }
  }
}

std::uint64_t Chunk::deliveries() const {
  std::uint64_t sum = 0;
  for (const Offer& offer : offers) sum += offer.deliveries.size();
  for (const Delayed& one : delayed) sum += one.count;
  return sum;
}

void Chunk::will_not_arrive() const {
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
  note_journaled(chunk, now);
  append_refused_ = !answer;
  if (answer) {
    office_.proved(chunk.sent);
    return accept_chunk(chunk, now);
  }
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
  if (!ended_) refuse_chunk(chunk, answer.error(), now);
}

void Core::note_journaled(const Chunk& chunk, Now now) {
  measures_.journal.observe(now.steady - chunk.sent);
  measures_.chunk_events.observe(chunk.events + chunk.caused.size());
}

void Core::accept_chunk(Chunk& chunk, Now now) {
  options_.failpoint("broker.append.accepted");
  options_.tracepoint(Hop::kJournaled, chunk.entry);
  counters_.events_accepted += chunk.events;
  counters_.events_unmatched += chunk.unmatched;
  counters_.events_duplicate += chunk.duplicates;
  confirm_claims(chunk, now);
  accept_delayed(chunk);
  for (Offer& offer : chunk.offers) {
    FunctionState& function = *offer.function;
    const auto count = static_cast<std::int64_t>(offer.deliveries.size());
    counters_.deliveries_created += offer.deliveries.size();
    function.measures.created += offer.deliveries.size();
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
    if (offer.early) {
      std::vector<Pending> none;
      function.queue.offer(offer.lane, chunk.entry, none);
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
  settle_early(chunk, true, now);
  if (options_.durability != Durability::kMemory &&
      !options_.protections.acknowledge_after_journal) {
    return;  // answered when it was cut
  }
  for (std::size_t i = 0; i < chunk.parts.size(); ++i) {
    answer_part(chunk.shares[i].first, chunk.shares[i].second, chunk.parts[i], now);
  }
}

void Core::refuse_chunk(Chunk& chunk, const Error& error, Now now) {
  const Refusal code = refusal_after(error);
  count_refused(code, chunk.events + chunk.duplicates);
  release_claims(chunk);
  chunk.will_not_arrive();
  settle_early(chunk, false, now);
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
    answer_part(chunk.shares[i].first, chunk.shares[i].second, part, now);
  }
}

void Core::answer_part(BatchId id, std::size_t events, const protocol::Published& part, Now now) {
  const auto at = batches_.find(id);
  if (at == batches_.end()) return;
  Batch& batch = at->second;
  merge(batch.answer, part);
  batch.unanswered -= events;
  if (batch.unanswered > 0) return;

  measures_.publish.observe(now.steady - batch.arrived, events_answered(batch.answer));
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
