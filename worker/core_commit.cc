// How deliveries end: gathered for a commit, reported as failed, or handed back.
#include <algorithm>
#include <bitset>

#include "protocol/caused_event.h"
#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr std::size_t kLogTailMax = 4096;
constexpr std::size_t kMessageMax = 1024;
constexpr double kHoldsBackBelowNs = 1e6;  // service time; slower functions' results do not wait

// In what is used again and again: what it has allocated stays.
void name_failure(auto& into, const protocol::Failure* failure) {
  into.error_type.assign(failure ? std::string_view{failure->type} : std::string_view{});
  into.error_message.assign(failure ? std::string_view{failure->message} : std::string_view{});
}

}  // namespace

// Puts a delivery that arrived into the entry that it shares with others.
void Core::enter(Held& held, bool early) {
  held.entry = nullptr;
  if (held.origin == protocol::Origin::kInvoke) return;
  const EntryKey key{held.id.entry, held.lane, held.origin};
  const bool shared = held.entry_size > 1;
  if (shared) {
    const auto at = held.function->entries.find(key);
    if (at != held.function->entries.end()) {
      held.entry = at->second;
      ++held.entry->unfinished;
      return;
    }
  }
  Entry& entry = entry_pool_.take();
  entry.key = key;
  entry.size = held.entry_size;
  entry.unfinished = 1;
  entry.function = held.function;
  entry.journal = early ? Entry::Journal::kAwaited : Entry::Journal::kThere;
  if (early) awaited_.push_back(&entry);
  held.entry = &entry;
  if (shared) held.function->entries.emplace(key, &entry);
}

void Core::release_entry(Function& function, Entry& entry) {
  if (entry.unfinished > 0 || !entry.done.empty()) return;
  if (entry.shared() && entry.journal != Entry::Journal::kNever) function.entries.erase(entry.key);
  if (entry.journal == Entry::Journal::kAwaited) std::erase(awaited_, &entry);
  entry_pool_.give_back(entry);
}

void Core::release(Held& held) {
  held.function = nullptr;
  if (--held.frame->users == 0) frame_pool_.give_back(*held.frame);
  pool_.give_back(held);
}

// An attempt is over. `row` is complete but for its outcome and error.
void Core::finish(Held& held, ItemResult& end, protocol::AttemptRow& row, Now now) {
  options_.failpoint("worker.result.taken");
  Function& function = *held.function;
  touch(function);
  if (end.outcome == protocol::Outcome::kOk &&
      end.output.size() > function.manifest.result_max_bytes) {
    ++counters_.results_too_large;
    end.outcome = protocol::Outcome::kFunctionError;
    end.failure = {.type = std::string{protocol::kResultTooLarge},
                   .message = "the result has " + std::to_string(end.output.size()) +
                              " bytes; result.max_bytes is " +
                              std::to_string(function.manifest.result_max_bytes),
                   .retryable = false,
                   .retry_after_ms = {}};
    end.output.clear();
  }
  const bool ok = end.outcome == protocol::Outcome::kOk;
  if (end.log_tail.size() > kLogTailMax) {
    end.log_tail.erase(0, end.log_tail.size() - kLogTailMax);
    end.log_truncated = true;
  }
  if (end.failure.message.size() > kMessageMax) end.failure.message.resize(kMessageMax);
  row.outcome = end.outcome;
  name_failure(row, ok ? nullptr : &end.failure);
  const bool disowned = is_disowned(held);
  // Whether one that writes rows has succeeded is known when they are written.
  std::unique_ptr<protocol::AttemptRow> row_of_writer;
  if (ok && !disowned && writes_rows(end.asked)) {
    row_of_writer = std::make_unique<protocol::AttemptRow>(row);
  } else {
    conclude(held, row, now);
  }
  if (disowned) return leave(held);

  if (ok && held.entry) {
    Entry& entry = *held.entry;
    --entry.unfinished;
    if (entry.done.empty()) {
      entry.done_since = now.steady;
      function.done_entries.push_back(&entry);
    }
    const bool stored = function.manifest.result_ttl > Duration::zero();
    store::Effects effects = effects_of_success(held, end, now);
    entry.done.push_back({&held, stored ? make_record(held, end, row, now) : std::string_view{},
                          std::move(effects), std::move(row_of_writer)});
    ++function.uncommitted;
    ++uncommitted_;
    uncommitted_bytes_ += entry.done.back().bytes();
    if (!options_.protections.commit_before_done) {
      protocol::Done::Row done;
      done.function = function.spec.name;
      done.id = held.id;
      done.token = held.token;
      done_rows_.push_back(std::move(done));
    }
    return;
  }
  protocol::Done::Row done;
  done.outcome = end.outcome;
  done.final_status = ok ? protocol::Status::kSucceeded : protocol::Status::kFailed;
  if (held.origin == protocol::Origin::kInvoke) done.record = make_record(held, end, row, now);
  if (!ok) {
    protocol::append_row(done.packed_row, row);
    done.failure = std::move(end.failure);
    done.log_tail = std::move(end.log_tail);
  }
  if (ok && !end.asked.empty()) {
    return commit_invocation(held, asked_for(held, end, now), std::move(row_of_writer),
                             std::move(done), now);
  }
  if (held.entry && awaits_journal(*held.entry)) {
    return void(held.entry->withheld.emplace_back(&held, std::move(done)));
  }
  report_done(held, std::move(done));
}

// It is known how the attempt ended.
void Core::conclude(const Held& held, const protocol::AttemptRow& row, Now now) {
  const bool ok = row.outcome == protocol::Outcome::kOk;
  ++(ok ? counters_.attempts_ok : counters_.attempts_failed);
  FunctionMeasures& measures = held.function->measures;
  measures.ended(row.outcome);
  if (row.outcome != protocol::Outcome::kInitFailed) {
    measures.duration.observe(std::chrono::microseconds{row.duration_us});
  }
  if (row.cold_start) measures.cold_start.observe(std::chrono::microseconds{row.cold_start_us});
  report(held, row, now);
  meter(held, row, now);
}

std::string_view Core::make_record(const Held& held, ItemResult& end,
                                   const protocol::AttemptRow& row, Now now) {
  // Used again and again: what it has allocated stays.
  protocol::ResultRecord& record = record_;
  const bool ok = end.outcome == protocol::Outcome::kOk;
  record.status = ok ? protocol::Status::kSucceeded : protocol::Status::kFailed;
  // A short text leaves the memory of the one before in its place; a large one is not kept twice.
  if (end.output.size() > ItemResults::kKeptMax) {
    record.output = std::move(end.output);
  } else {
    record.output.swap(end.output);
  }
  record.content_type.swap(end.content_type);
  name_failure(record, ok ? nullptr : &end.failure);
  record.ledger = held.packed_ledger;
  protocol::append_row(record.ledger, row);
  record.log_tail = end.log_tail;
  record.log_truncated = end.log_truncated;
  record.accepted_ms = held.accepted_ms;
  record.ended_ms = to_ms(now.wall);
  record.memory_limit_mb = static_cast<std::uint32_t>(held.function->manifest.memory_bytes >> 20);
  packed_record_.clear();
  protocol::append_record(packed_record_, record);
  return packed_record_;
}

// What the handler has asked for: events that it published, rows that it wrote.
store::Effects Core::asked_for(const Held& held, ItemResult& end, Now now) {
  store::Effects effects;
  for (Asked& asked : end.asked) {
    if (asked.kind == Asked::Kind::kWriteRows) {
      const protocol::Manifest& manifest = held.function->manifest;
      effects.emplace_back(
          store::RowWrites{.now_ms = to_ms(now.wall),
                           .limits = {manifest.store_max_rows, manifest.store_max_bytes},
                           .packed = std::move(asked.bytes)});
      continue;
    }
    auto caused = protocol::published_event(asked.bytes, held.packed_event);
    if (!caused) continue;  // never: InstanceHandle has looked
    effects.emplace_back(store::Publish{std::move(caused->to), std::move(caused->packed_event)});
  }
  return effects;
}

// What the function's success brings about: what it published, and `on_success` is told.
store::Effects Core::effects_of_success(const Held& held, ItemResult& end, Now now) {
  const Function& function = *held.function;
  store::Effects effects = asked_for(held, end, now);
  if (!function.manifest.on_success.empty()) {
    protocol::EndedDelivery ended;
    ended.function = function.spec.name;
    ended.version = function.spec.generation;
    ended.id = held.id;
    ended.packed_event = held.packed_event;
    ended.attempts = held.attempt;
    ended.ended_ms = to_ms(now.wall);
    ended.output = end.output;
    ended.content_type = end.content_type;
    auto caused = protocol::destination_event(function.manifest.on_success, ended);
    effects.emplace_back(store::Publish{std::move(caused.to), std::move(caused.packed_event)});
  }
  return effects;
}

// Not run, or stopped because this worker leaves: somebody else may have it.
void Core::hand_back(Held& held) {
  ++counters_.attempts_drained;
  held.function->measures.ended(protocol::Outcome::kDrained);
  protocol::Done::Row row;
  row.outcome = protocol::Outcome::kDrained;
  row.final_status = protocol::Status::kFailed;
  report_done(held, std::move(row));
}

void Core::throttle(Held& held, const protocol::Failure& why) {
  ++counters_.attempts_throttled;
  held.function->measures.ended(protocol::Outcome::kThrottled);
  protocol::Done::Row row;
  row.outcome = protocol::Outcome::kThrottled;
  row.final_status = protocol::Status::kFailed;
  row.failure = why;
  report_done(held, std::move(row));
}

// The delivery ends here as far as its entry is concerned; the broker hears of it this turn.
void Core::report_done(Held& held, protocol::Done::Row row) {
  if (is_disowned(held)) return leave(held);
  if (held.local != 0) return end_local(held, row);
  row.function = held.function->spec.name;
  row.id = held.id;
  row.token = held.token;
  done_rows_.push_back(std::move(row));
  leave(held);
}

void Core::report_committed(Held& held) {
  const std::string& function = held.function->spec.name;
  const bool goes_on = !done_committed_.empty() && done_committed_.back().entry == held.id.entry &&
                       done_committed_.back().function == function;
  if (!goes_on) done_committed_.push_back({function, held.id.entry, {}});
  done_committed_.back().add(held.id.index, held.token);
  leave(held);
}

void Core::leave(Held& held) {
  if (held.entry) {
    --held.entry->unfinished;
    release_entry(*held.function, *held.entry);
  }
  release(held);
}

// One flight in the air, the next one fills meanwhile; only full calls follow at once. While Redis
// does not answer nothing new goes out at all.
bool Core::may_commit(const Function& function) const {
  if (failed_flights_ > 0 || in_air() >= options_.commit_calls_max) return false;
  return in_air() == 0 || function.uncommitted >= options_.commit_deliveries_max;
}

// Whether an entry whose rest is about to finish waits for it: one commit costs less than two.
bool Core::holds_back(const Function& function, const Entry& entry, Now now) {
  if (entry.unfinished == 0 || draining_) return false;
  if (function.service_ns == 0 || function.service_ns >= kHoldsBackBelowNs) return false;
  const double rest_ns = entry.unfinished * function.service_ns;
  if (rest_ns > 2 * static_cast<double>(options_.hold_partial.count())) return false;
  const TimePoint until = entry.done_since + options_.hold_partial;
  if (now.steady >= until) return false;
  due(until);
  return true;
}

void Core::commit_done(Function& function, Now now) {
  if (!may_commit(function)) return;
  const bool only_full = in_air() > 0;
  Flight flight;
  std::vector<Entry*> kept;
  std::vector<Entry*> entries = std::exchange(function.done_entries, {});
  for (Entry* entry : entries) {
    if (!flight.held.empty() &&
        flight.held.size() + entry->done.size() > options_.commit_deliveries_max) {
      send_commit(std::exchange(flight, {}), now);
    }
    const bool too_few =
        only_full && flight.held.empty() && function.uncommitted < options_.commit_deliveries_max;
    if (too_few || in_air() >= options_.commit_calls_max || awaits_journal(*entry) ||
        holds_back(function, *entry, now)) {
      kept.push_back(entry);
      continue;
    }
    add_to_flight(flight, function, *entry, now);
  }
  if (!flight.held.empty()) send_commit(std::move(flight), now);
  function.done_entries.insert(function.done_entries.begin(), kept.begin(), kept.end());
}

// Whether a call names this delivery already: two attempts of it may have ended here, when a broker
// and its successor both lent it. Redis decides between them, in two calls.
bool Core::names(const store::Commit& call, const Entry& entry, std::uint8_t index) {
  return std::ranges::any_of(call.groups, [&](const auto& group) {
    return group.entry == entry.key.id && group.lane == entry.key.lane &&
           group.origin == entry.key.origin &&
           std::ranges::any_of(group.items, [&](const auto& item) { return item.index == index; });
  });
}

// Moves an entry's results into `flight`, which is sent and begun anew when it is full.
void Core::add_to_flight(Flight& flight, Function& function, Entry& entry, Now now) {
  bool open_group = false;
  std::bitset<protocol::kChunkEventsMax> in_group;  // indexes of the open group
  for (Success& success : entry.done) {
    const std::size_t bytes = success.bytes();
    const std::size_t writes = 1 + count_writes(success.effects);
    const std::uint8_t index = success.held->id.index;
    const bool twice = open_group ? in_group.test(index) : names(flight.call, entry, index);
    if (!flight.held.empty() && (twice || flight.writes + writes > options_.commit_deliveries_max ||
                                 flight.bytes + bytes > options_.commit_bytes_max)) {
      send_commit(std::exchange(flight, {}), now);
      open_group = false;
    }
    if (flight.held.empty()) {
      flight.function = &function;
      flight.call.function = function.spec.name;
      flight.call.result_ttl_ms =
          std::chrono::duration_cast<std::chrono::milliseconds>(function.manifest.result_ttl)
              .count();
      flight.call.packed = packs_results_;
    }
    if (!open_group) {
      flight.call.groups.push_back({.entry = entry.key.id,
                                    .lane = entry.key.lane,
                                    .origin = entry.key.origin,
                                    .entry_size = entry.size,
                                    .items = {}});
      flight.call.groups.back().items.reserve(entry.done.size());
      open_group = true;
      in_group.reset();
    }
    const Held& held = *success.held;
    in_group.set(index);
    flight.publishes = flight.publishes || publishes(success.effects);
    flight.call.groups.back().items.push_back({held.id.index, held.slot, held.token,
                                               std::move(success.record),
                                               std::move(success.effects)});
    if (success.row_of_writer) {
      flight.rows_of_writers.emplace(success.held, *std::move(success.row_of_writer));
    }
    flight.held.push_back(success.held);
    flight.writes += writes;
    flight.bytes += bytes;
    success.held->entry = nullptr;  // the flight has it now
  }
  function.uncommitted -= entry.done.size();
  entry.done.clear();
  release_entry(function, entry);
}

}  // namespace fanfare::worker
