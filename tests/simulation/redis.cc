#include "tests/simulation/redis.h"

#include <algorithm>
#include <type_traits>

namespace fanfare::simulation {
namespace {

using namespace std::chrono_literals;
using store::Verdict;

bool only_reads(const store::Call& call) {
  return std::holds_alternative<store::Page>(call) || std::holds_alternative<store::Due>(call) ||
         std::holds_alternative<store::Survey>(call) ||
         std::holds_alternative<store::Recall>(call) ||
         std::holds_alternative<store::Lookup>(call) || std::holds_alternative<store::Find>(call) ||
         std::holds_alternative<store::ListFunctions>(call) ||
         std::holds_alternative<store::ListWorkers>(call) ||
         std::holds_alternative<store::CountOutboxes>(call) ||
         std::holds_alternative<store::ReadOutbox>(call) ||
         std::holds_alternative<store::GetRows>(call) ||
         std::holds_alternative<store::ListRows>(call) ||
         std::holds_alternative<store::ReadLetters>(call) ||
         std::holds_alternative<store::ListSchedules>(call) ||
         std::holds_alternative<store::GetRevision>(call) ||
         std::holds_alternative<store::ListTopics>(call) ||
         std::holds_alternative<store::ListGenerations>(call);
}

const char* name_of(const store::Call& call) {
  static constexpr const char* kNames[] = {"begin",
                                           "append",
                                           "commit",
                                           "postpone",
                                           "bury",
                                           "page",
                                           "due",
                                           "survey",
                                           "recall",
                                           "list_functions",
                                           "deploy",
                                           "remove",
                                           "note_worker",
                                           "list_workers",
                                           "count_outboxes",
                                           "read_outbox",
                                           "set_state",
                                           "lookup",
                                           "get_rows",
                                           "list_rows",
                                           "write_rows",
                                           "meter",
                                           "find",
                                           "letters",
                                           "redrive",
                                           "purge_letters",
                                           "set_schedule",
                                           "fire",
                                           "list_schedules",
                                           "get_revision",
                                           "set_topics",
                                           "list_topics",
                                           "list_generations",
                                           "drop_package"};
  static_assert(std::size(kNames) == std::variant_size_v<store::Call>);
  return kNames[call.index()];
}

std::string describe(const Result<store::Answer>& answer) {
  if (!answer) return answer.error().message;
  const std::vector<Verdict>* verdicts = nullptr;
  if (const auto* committed = std::get_if<store::Committed>(&*answer))
    verdicts = &committed->verdicts;
  if (const auto* moved = std::get_if<store::Moved>(&*answer)) verdicts = &moved->verdicts;
  if (!verdicts) {
    const auto* appended = std::get_if<store::Appended>(&*answer);
    return appended && appended->repeated ? "repeated" : "done";
  }
  std::string text;
  for (const Verdict verdict : *verdicts) text += "odfgxn"[static_cast<int>(verdict)];
  return text;
}

}  // namespace

// ---- a client's connection ----

RedisLink::RedisLink(Redis& redis, AfterBreak after_break)
    : redis_(redis), after_break_(after_break) {
  redis_.links_.push_back(this);
  redis_.schedule_.after(redis_.some_delay(), life_, [this] { connect(); });
}

RedisLink::~RedisLink() {
  *life_ = false;
  std::erase(redis_.links_, this);
  if (!era_) return;
  era_->broken = true;
  redis_.schedule_.after(redis_.random_.around(300us), [era = era_] { era->cut = true; });
}

void RedisLink::connect() {
  if (era_) return;
  if (redis_.schedule_.steady() < redis_.loading_until_) {
    return redis_.schedule_.after(10ms, life_, [this] { connect(); });
  }
  era_ = std::make_shared<Era>();
  for (Pending& pending : unanswered_) send(pending);
}

void RedisLink::call(store::Call call, Done done) {
  unanswered_.push_back({next_number_++, std::move(call), std::move(done), false, false});
  if (era_) send(unanswered_.back());
}

void RedisLink::send(Pending& pending) {
  pending.in_doubt = std::exchange(pending.sent, true);
  const TimePoint now = redis_.schedule_.steady();
  era_->last_arrival = std::max(era_->last_arrival, now + redis_.some_delay());
  redis_.schedule_.at(era_->last_arrival, [&redis = redis_, era = era_, link = this, life = life_,
                                           number = pending.number, call = pending.call]() mutable {
    if (era->cut || era->restarted) return;
    redis.arrive({era, link, life, number, std::move(call)});
  });
}

void RedisLink::break_connection() {
  if (!era_) return;
  era_->broken = true;
  // What the kernel has taken may still arrive, or not.
  if (redis_.random_.chance(0.5)) era_->cut = true;
  era_.reset();
  redis_.schedule_.after(redis_.random_.around(10ms), life_, [this] {
    if (after_break_ == AfterBreak::kTell) {
      for (auto& pending : std::exchange(unanswered_, {})) {
        pending.done(reconnect("the connection to Redis was lost"));
      }
    }
    redis_.schedule_.after(1ms + redis_.random_.around(20ms), life_, [this] { connect(); });
  });
}

void RedisLink::resume() {
  paused_ = false;
  const Life life = life_;
  for (auto& [number, kept] : std::exchange(kept_answers_, {})) {
    if (*life) answer(number, std::move(kept));
  }
}

void RedisLink::answer(std::uint64_t number, Result<store::Answer> answer) {
  if (paused_) {
    kept_answers_.emplace_back(number, std::move(answer));
    return;
  }
  const auto at = std::find_if(unanswered_.begin(), unanswered_.end(),
                               [&](const Pending& pending) { return pending.number == number; });
  if (at == unanswered_.end()) return;
  const Done done = std::move(at->done);
  // As store::RedisStore: a refusal of the repeat says nothing about the first try.
  if (!answer && at->in_doubt && answer.error().kind == ErrorKind::kRetryLater) {
    answer = reconnect(answer.error().message);
  }
  unanswered_.erase(at);
  done(std::move(answer));
}

// ---- the server ----

Redis::Redis(Schedule& schedule, Random& random, History& history, Trace& trace, Mutation mutation)
    : schedule_(schedule), random_(random), history_(history), trace_(trace), mutation_(mutation) {
  model_.holders_at_once = 2;  // so that surveys come in slices
  if (mutation_ == Mutation::kRestartForgetsLastWrites) take_snapshot();
}

Duration Redis::some_delay() {
  return 15us + random_.around(random_.chance(tempo.slow) ? tempo.slow_delay : tempo.delay);
}

void Redis::install(const Workload& workload) {
  (void)apply(store::Begin{});
  for (std::size_t i = 0; i < workload.functions().size(); ++i) {
    const auto& function = workload.functions()[i];
    (void)apply(
        store::Deploy{model_.epoch(), function.name, function.manifest, Workload::digest(i, 1)});
  }
}

void Redis::take_snapshot() {
  snapshot_ = model_;
  schedule_.after(30ms, [this] { take_snapshot(); });
}

void Redis::arrive(Arrived arrived) {
  if (schedule_.steady() < stalled_until_) {
    stalled_.push_back(std::move(arrived));
  } else {
    apply(arrived);
  }
}

void Redis::apply(Arrived& arrived) {
  if (std::holds_alternative<store::Append>(arrived.call)) return apply_append(arrived);
  answer(arrived, apply(arrived.call));
}

void Redis::apply_append(Arrived& arrived) {
  RedisLink::Era& era = *arrived.era;
  if (era.refused || !era.behind_gap.empty()) {
    // It is kept by its era, and must not keep that in turn.
    const auto its = std::exchange(arrived.era, {});
    its->behind_gap.push_back(
        [this, of = std::weak_ptr(its), waiting = std::move(arrived)]() mutable {
          waiting.era = of.lock();
          if (waiting.era && !waiting.era->broken) apply(waiting);
        });
    return;
  }
  auto said = apply(arrived.call);
  if (!said && said.error().kind == ErrorKind::kRetryLater) era.refused = true;
  answer(arrived, std::move(said));
}

void Redis::close_gap(const std::shared_ptr<RedisLink::Era>& era) {
  era->refused = false;
  for (auto behind = std::exchange(era->behind_gap, {}); !behind.empty(); behind.pop_front()) {
    behind.front()();
  }
}

void Redis::answer(const Arrived& arrived, Result<store::Answer> answer) {
  const bool refused = arrived.era->refused && std::holds_alternative<store::Append>(arrived.call);
  arrived.era->last_answer = std::max(arrived.era->last_answer, schedule_.steady() + some_delay());
  schedule_.at(arrived.era->last_answer,
               [this, refused, era = arrived.era, link = arrived.link, life = arrived.life,
                number = arrived.number, answer = std::move(answer)]() mutable {
                 if (era->broken) return;
                 if (*life) link->answer(number, std::move(answer));
                 if (refused)
                   schedule_.after(1ms, [this, era] {
                     if (!era->broken) close_gap(era);
                   });
               });
}

void Redis::stall_until(TimePoint when) {
  const bool stalled = schedule_.steady() < stalled_until_;
  stalled_until_ = std::max(stalled_until_, when);
  if (!stalled) schedule_.at(stalled_until_, [this] { drain_stalled(); });
}

// Each connection's calls in order, the connections in any.
void Redis::drain_stalled() {
  if (schedule_.steady() < stalled_until_) {
    return schedule_.at(stalled_until_, [this] { drain_stalled(); });
  }
  std::vector<Arrived> waiting = std::exchange(stalled_, {});
  while (!waiting.empty()) {
    const auto& era = waiting[random_.below(waiting.size())].era;
    const auto first = std::find_if(waiting.begin(), waiting.end(),
                                    [&](const Arrived& arrived) { return arrived.era == era; });
    Arrived next = std::move(*first);
    waiting.erase(first);
    if (!next.era->restarted) apply(next);
  }
}

void Redis::break_some_link() {
  if (!links_.empty()) random_.pick(links_)->break_connection();
}

void Redis::refuse_appends_until(TimePoint when) {
  no_appends_until_ = when;
  appends_refused_ = random_.chance(0.5) ? 1 : 0.5;
}

void Redis::reject_commits_until(TimePoint when, std::string function) {
  trace_.say("redis rejects commits of {}", function);
  no_commits_until_ = when;
  no_commits_of_ = std::move(function);
}

void Redis::restart(Duration loading) {
  trace_.say("redis restarts");
  loading_until_ = schedule_.steady() + loading;
  for (RedisLink* link : std::vector<RedisLink*>(links_)) {
    if (link->era_) link->era_->restarted = true;
    link->break_connection();
  }
  for (const Arrived& arrived : stalled_) arrived.era->restarted = true;
  if (mutation_ == Mutation::kRestartForgetsLastWrites) model_ = snapshot_;
}

Result<store::Answer> Redis::apply(const store::Call& call) {
  ++calls_;
  const TimePoint now = schedule_.steady();
  if (now < no_appends_until_ && std::holds_alternative<store::Append>(call) &&
      random_.chance(appends_refused_)) {
    return retry_later("OOM command not allowed when used memory > 'maxmemory'");
  }
  if (now < no_changes_until_ && !only_reads(call) && !std::holds_alternative<store::Begin>(call)) {
    return retry_later("MISCONF Redis is unable to persist to disk");
  }
  const auto* commit = std::get_if<store::Commit>(&call);
  if (commit && now < no_commits_until_ && commit->function == no_commits_of_) {
    return reject("WRONGTYPE Operation against a key holding the wrong kind of value");
  }
  store::Call actual = call;
  auto answer = apply_mutated(actual);
  trace_.say("redis {}: {}", name_of(call), describe(answer));
  if (answer) {
    history_.on_applied(actual, *answer);
    check_after(actual);
  }
  return answer;
}

Result<store::Answer> Redis::apply_mutated(store::Call& call) {
  if (auto* append = std::get_if<store::Append>(&call)) {
    if (mutation_ == Mutation::kAppendWithoutEpoch) {
      const std::uint32_t said = append->epoch;
      append->epoch = model_.epoch();
      auto answer = model_.call(call);
      append->epoch = said;
      return answer;
    }
    auto answer = model_.call(call);
    const bool repeated = answer && std::get<store::Appended>(*answer).repeated;
    if (!repeated || mutation_ != Mutation::kAppendForgetsRepeats) return answer;
    append->entry = model_.last_entry();
    ++append->entry.seq;
    return model_.call(call);
  }
  if (auto* postpone = std::get_if<store::Postpone>(&call);
      postpone && mutation_ == Mutation::kPostponeWithoutEpoch) {
    const std::uint32_t said = postpone->epoch;
    postpone->epoch = model_.epoch();
    auto answer = model_.call(call);
    postpone->epoch = said;
    return answer;
  }
  if (const auto* redrive = std::get_if<store::Redrive>(&call);
      redrive && mutation_ == Mutation::kRedriveLosesLetters) {
    return lose_letters(*redrive);
  }
  auto answer = model_.call(call);
  const auto* commit = std::get_if<store::Commit>(&call);
  if (commit && answer && mutation_ == Mutation::kCommitWithoutFence) {
    overwrite_fenced(*commit, std::get<store::Committed>(*answer));
  }
  if (commit && answer && mutation_ == Mutation::kRowsOutsideTheFence) {
    write_rows_of_losers(*commit, std::get<store::Committed>(*answer));
  }
  if (commit && answer && mutation_ == Mutation::kCommitWithoutResult) {
    forget_results(*commit, std::get<store::Committed>(*answer));
  }
  return answer;
}

// As a redrive would that takes letters away and puts nothing into `later`.
Result<store::Answer> Redis::lose_letters(const store::Redrive& redrive) {
  store::PurgeLetters purge{redrive.epoch, redrive.function, {}};
  for (const auto& item : redrive.items) purge.letters.push_back(item.letter);
  auto purged = model_.call(purge);
  if (!purged) return purged;
  return store::Answer{store::Moved{std::vector<Verdict>(redrive.items.size(), Verdict::kOk)}};
}

// As a commit would that writes rows before it looks whose turn it is.
void Redis::write_rows_of_losers(const store::Commit& commit, const store::Committed& committed) {
  std::size_t at = 0;
  for (const auto& group : commit.groups) {
    for (const auto& item : group.items) {
      if (committed.verdicts.at(at++) == Verdict::kOk) continue;
      for (const store::Effect& effect : item.effects) {
        const auto* rows = std::get_if<store::RowWrites>(&effect);
        if (!rows) continue;
        (void)model_.call(
            store::WriteRows{commit.function, rows->now_ms, rows->limits, rows->packed});
      }
    }
  }
}

// As a commit would that looked at nothing: the later result wins.
void Redis::overwrite_fenced(const store::Commit& commit, store::Committed& committed) {
  std::size_t at = 0;
  for (const auto& group : commit.groups) {
    for (const auto& item : group.items) {
      Verdict& verdict = committed.verdicts.at(at++);
      if (verdict != Verdict::kFenced) continue;
      verdict = Verdict::kOk;
      overwritten_[{commit.function, {group.entry, item.index}}] = item.record.str();
    }
  }
}

// As a commit would that marks its deliveries done and keeps nothing of what they gave.
void Redis::forget_results(const store::Commit& commit, const store::Committed& committed) {
  std::size_t at = 0;
  for (const auto& group : commit.groups) {
    for (const auto& item : group.items) {
      if (committed.verdicts.at(at++) != Verdict::kOk) continue;
      forgotten_.insert({commit.function, {group.entry, item.index}});
    }
  }
}

std::optional<std::string> Redis::stored_result(const std::string& function,
                                                const protocol::EventId& id) const {
  if (!forgotten_.empty() && forgotten_.contains({function, id})) return std::nullopt;
  if (const auto at = overwritten_.find({function, id}); at != overwritten_.end()) {
    return at->second;
  }
  const auto* held = model_.find(function);
  if (!held) return std::nullopt;
  const auto at = held->results.find(id);
  if (at == held->results.end()) return std::nullopt;
  return std::to_string(at->second.token.value) + ":" + at->second.record;
}

// After every change: the counts of the functions it touched, the results it may have touched.
void Redis::check_after(const store::Call& call) {
  std::vector<std::string> functions;
  const auto look_at = [&](const std::string& function, const protocol::EventId& id) {
    if (const auto number = history_.function(function)) {
      history_.on_stored_result({*number, id}, stored_result(function, id));
    }
  };
  if (const auto* append = std::get_if<store::Append>(&call)) {
    for (const auto& stream : append->streams) functions.push_back(stream.function);
    for (const auto& delayed : append->delayed) functions.push_back(delayed.function);
  } else if (const auto* commit = std::get_if<store::Commit>(&call)) {
    functions.push_back(commit->function);
    for (const auto& group : commit->groups) {
      for (const auto& item : group.items) look_at(commit->function, {group.entry, item.index});
    }
  } else if (const auto* postpone = std::get_if<store::Postpone>(&call)) {
    functions.push_back(postpone->function);
    for (const auto& item : postpone->items) look_at(postpone->function, item.id);
  } else if (const auto* bury = std::get_if<store::Bury>(&call)) {
    functions.push_back(bury->function);
    for (const auto& item : bury->items) look_at(bury->function, item.id);
  } else if (const auto* redrive = std::get_if<store::Redrive>(&call)) {
    functions.push_back(redrive->function);
    for (const auto& item : redrive->items) look_at(redrive->function, item.id);
  }
  for (const auto& name : functions) {
    const auto number = history_.function(name);
    const auto* function = model_.find(name);
    if (number && function) history_.on_counts(*number, function->counts);
    check_rows(name);
  }
}

// Every success adds one to its function's row, in the step that commits it.
void Redis::check_rows(const std::string& name) {
  const auto number = history_.function(name);
  const auto* function = model_.find(name);
  if (!number || !function || !history_.workload().functions()[*number].keeps_count) return;
  const auto& rows = function->store.rows();
  const auto row = rows.find(std::string{kCountRow});
  history_.on_count_row(*number, row == rows.end() ? "0" : row->second.value);
}

void Redis::check_final() {
  for (const auto& [name, function] : model_.functions()) {
    const auto number = history_.function(name);
    if (!number) continue;
    history_.on_counts(*number, function.counts);
    check_rows(name);
    if (function.counts.open != 0 || function.counts.later != 0 || !function.later.empty()) {
      return history_.violate("function {}: {} open and {} later are left in the store", name,
                              function.counts.open, function.counts.later);
    }
    for (const auto& [lane, entries] : function.journal) {
      if (!entries.empty()) {
        return history_.violate("function {}: {} entries are left in a journal", name,
                                entries.size());
      }
    }
    if (!function.outbox.empty()) {
      return history_.violate("function {}: {} entries are left in its outbox", name,
                              function.outbox.size());
    }
    const auto buried = static_cast<std::size_t>(function.counts.dead + function.counts.expired);
    if (function.dead.size() != buried) {
      return history_.violate("function {}: {} dead letters, {} buried", name, function.dead.size(),
                              buried);
    }
  }
  for (const auto& [key, delivery] : history_.all()) {
    const auto& name = history_.workload().functions()[key.function].name;
    history_.on_stored_result(key, stored_result(name, key.id));
    if (history_.violated()) return;
  }
}

}  // namespace fanfare::simulation
