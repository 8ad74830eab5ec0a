// Commits on their way to Redis: answered, repeated, or taken apart when Redis refuses them.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {
namespace {

constexpr std::int64_t kInvocationKnownMs = 3'600'000;
constexpr Duration kRepeatFirst = std::chrono::milliseconds{50};
constexpr Duration kRepeatMax = std::chrono::seconds{2};
constexpr Duration kRefusedFirst = std::chrono::seconds{1};
constexpr Duration kRefusedMax = std::chrono::seconds{30};

Duration doubled(Duration first, Duration most, std::uint32_t times) {
  return std::min<Duration>(most, first * (1 << std::min(times, 10u)));
}

// Moves the second half of `call`, from its `keep`-th item on, into a call of its own.
store::Commit split_off(store::Commit& call, std::size_t keep) {
  store::Commit rest{.function = call.function,
                     .result_ttl_ms = call.result_ttl_ms,
                     .packed = call.packed,
                     .groups = {}};
  std::vector<store::Commit::Group> groups = std::exchange(call.groups, {});
  std::size_t seen = 0;
  for (store::Commit::Group& group : groups) {
    const std::size_t here = std::min(group.items.size(), keep - std::min(keep, seen));
    seen += group.items.size();
    if (here < group.items.size()) {
      store::Commit::Group second = group;
      second.items.erase(second.items.begin(),
                         second.items.begin() + static_cast<std::ptrdiff_t>(here));
      group.items.resize(here);
      rest.groups.push_back(std::move(second));
    }
    if (here > 0) call.groups.push_back(std::move(group));
  }
  return rest;
}

}  // namespace

void Core::send_commit(Flight flight, Now now) {
  flight.sent = now.steady;
  const CommitId id{next_commit_++};
  Flight& in_air = commits_.emplace(id, std::move(flight)).first->second;
  options_.failpoint("worker.commit.ready");
  effects_.commit(id, in_air.call);
  options_.failpoint("worker.commit.sent");
}

// What an invocation asks for is committed as a delivery of class memory would be, before the
// caller has its answer. Its token stays for an hour, under a name that no other attempt has, so
// that a repeat after a lost reply is known.
void Core::commit_invocation(Held& held, store::Effects effects,
                             std::unique_ptr<protocol::AttemptRow> row_of_writer,
                             protocol::Done::Row answer, Now now) {
  Flight flight;
  flight.function = held.function;
  flight.held = {&held};
  flight.writes = 1 + count_writes(effects);
  flight.publishes = publishes(effects);
  flight.call.result_ttl_ms = kInvocationKnownMs;
  if (row_of_writer) flight.rows_of_writers.emplace(&held, *std::move(row_of_writer));
  flight.bytes = store::bytes_of(effects);
  flight.invoked = std::move(answer);
  flight.call.function = held.function->spec.name;
  flight.call.groups.push_back({.entry = {held.id.entry.ms, held.token.value},
                                .lane = held.lane,
                                .origin = protocol::Origin::kMemory,
                                .entry_size = 1,
                                .items = {}});
  flight.call.groups[0].items.push_back({held.id.index, 0, held.token, {}, std::move(effects)});
  ++uncommitted_;
  uncommitted_bytes_ += flight.bytes;
  send_commit(std::move(flight), now);
}

// Sends again what has waited long enough.
void Core::repeat_commits(Now now) {
  for (auto& [id, flight] : commits_) {
    if (!flight.again_at) continue;
    if (*flight.again_at > now.steady) {
      due(*flight.again_at);
      continue;
    }
    flight.again_at.reset();
    ++counters_.commits_repeated;
    effects_.commit(id, flight.call);
  }
}

void Core::on_commit_answer(CommitId id, const store::Committed& answer, Now now) {
  const auto at = commits_.find(id);
  if (at == commits_.end()) return;
  if (answer.verdicts.size() != at->second.held.size()) {
    return on_commit_failed(id, reject("the answer has the wrong number of verdicts"), now);
  }
  options_.failpoint("worker.commit.answered");
  Flight flight = std::move(at->second);
  commits_.erase(at);
  measures_.commit.observe(now.steady - flight.sent);
  measures_.commit_deliveries.observe(flight.held.size());
  if (flight.set_aside) {
    --set_aside_;
    set_aside_bytes_ -= flight.bytes;
    --flight.function->set_aside;
    flight.function->set_aside_bytes -= flight.bytes;
  } else if (flight.failures > 0) {
    --failed_flights_;
  }
  for (std::size_t i = 0; i < flight.held.size(); ++i) {
    Held& held = *flight.held[i];
    options_.tracepoint(protocol::Hop::kCommitted, held.id.entry);
    auto writer = flight.rows_of_writers.empty() ? RowsOfWriters::node_type{}
                                                 : flight.rows_of_writers.extract(&held);
    switch (answer.verdicts[i]) {
      case store::Verdict::kOk:
        ++counters_.committed;
        break;
      case store::Verdict::kDuplicate:
        ++counters_.commits_duplicate;
        break;
      case store::Verdict::kFenced:
        ++counters_.commits_fenced;
        break;
      case store::Verdict::kGone:
        ++counters_.commits_gone;
        break;
      case store::Verdict::kStoreFull:
      case store::Verdict::kNotANumber:
        fail_writer(flight, held, writer ? std::move(writer.mapped()) : protocol::AttemptRow{},
                    answer.verdicts[i], now);
        continue;
    }
    if (writer) conclude(held, writer.mapped(), now);
    // Whoever ended it: it has ended, and the broker may forget it.
    if (flight.invoked) {
      report_done(held, *std::move(flight.invoked));
    } else if (options_.protections.commit_before_done) {
      report_committed(held);
    } else {
      release(held);
    }
  }
  if (flight.publishes) done_outboxes_.insert(flight.call.function);
  options_.failpoint("worker.commit.reported");
  uncommitted_ -= flight.held.size();
  uncommitted_bytes_ -= flight.bytes;
  touch(*flight.function);
  const bool all = std::exchange(credit_short_, false) || in_air() == 0;
  for (auto& [name, function] : functions_) {
    if (all || function->uncommitted > 0) touch(*function);
  }
}

void Core::on_commit_failed(CommitId id, const Error& error, Now now) {
  const auto at = commits_.find(id);
  if (at == commits_.end()) return;
  Flight& flight = at->second;
  if (error.kind == ErrorKind::kReject || error.kind == ErrorKind::kStale) {
    return on_commit_refused(id, error, now);
  }
  // The outcome is unknown, or Redis is busy: the same call again, so that it is taken once.
  if (options_.protections.repeat_commits) {
    if (!flight.set_aside && flight.failures == 0) ++failed_flights_;
    flight.again_at = now.steady + doubled(kRepeatFirst, kRepeatMax, flight.failures++);
    return due(*flight.again_at);
  }
  std::vector<store::Verdict> verdicts(flight.held.size(), store::Verdict::kOk);
  on_commit_answer(id, {std::move(verdicts)}, now);
}

// Redis would refuse the same call for ever, and took nothing of it. One delivery must not hold up
// the others, so halves are tried until it is alone. Its result is there and its function did
// nothing wrong: it is kept, and tried again until a person has mended what stands in its way.
void Core::on_commit_refused(CommitId id, const Error& error, Now now) {
  Flight& flight = commits_.at(id);
  if (!flight.set_aside && flight.failures > 0) {
    --failed_flights_;
    flight.failures = 0;
  }
  if (flight.held.size() > 1) {
    Flight first = std::move(flight);
    commits_.erase(id);
    const std::size_t keep = first.held.size() / 2;
    const auto middle = first.held.begin() + static_cast<std::ptrdiff_t>(keep);
    Flight second;
    second.function = first.function;
    second.publishes = first.publishes;
    second.call = split_off(first.call, keep);
    second.held.assign(middle, first.held.end());
    for (const Held* held : second.held) {
      if (auto node = first.rows_of_writers.extract(held)) {
        second.rows_of_writers.insert(std::move(node));
      }
    }
    first.held.erase(middle, first.held.end());
    for (const auto& group : second.call.groups) {
      for (const auto& item : group.items) {
        second.bytes += item.record.size() + store::bytes_of(item.effects);
        second.writes += 1 + count_writes(item.effects);
      }
    }
    first.bytes -= second.bytes;
    first.writes -= second.writes;
    send_commit(std::move(first), now);
    return send_commit(std::move(second), now);
  }
  if (!std::exchange(flight.set_aside, true)) {
    ++set_aside_;
    set_aside_bytes_ += flight.bytes;
    ++flight.function->set_aside;
    flight.function->set_aside_bytes += flight.bytes;
    ++counters_.commits_refused;
    for (auto& [name, function] : functions_) touch(*function);  // the others may go now
  }
  effects_.warn("Redis refuses the result of delivery " +
                protocol::to_string(flight.held.front()->id) + " of function " +
                flight.function->spec.name +
                ", which is kept here and tried again: " + error.message);
  flight.again_at = now.steady + doubled(kRefusedFirst, kRefusedMax, flight.failures++);
  due(*flight.again_at);
}

// What Redis refuses waits for a person, and not for Redis.
bool Core::has_too_much_uncommitted() const {
  return uncommitted_ - set_aside_ >= options_.uncommitted_max ||
         uncommitted_bytes_ - set_aside_bytes_ >= options_.uncommitted_bytes_max;
}

// More of it would most likely be refused, too, and a person has to mend it first.
bool Core::is_refused_too_much(const Function& function) const {
  return function.set_aside >= options_.set_aside_max ||
         function.set_aside_bytes >= options_.set_aside_bytes_max;
}

}  // namespace fanfare::worker
