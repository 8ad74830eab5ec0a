#include "broker/core.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>

#include "broker/access.h"
#include "store/relayed.h"

namespace fanfare::broker {

std::string_view to_string(Durability durability) {
  switch (durability) {
    case Durability::kFsync:
      return "fsync";
    case Durability::kEverysec:
      return "everysec";
    case Durability::kMemory:
      return "memory";
  }
  return "unknown";
}

Result<Durability> parse_durability(std::string_view text) {
  for (const auto durability : {Durability::kFsync, Durability::kEverysec, Durability::kMemory}) {
    if (text == to_string(durability)) return durability;
  }
  return reject(fmt::format("'{}' is not a durability class; use fsync, everysec or memory", text));
}

namespace {

constexpr std::size_t kJustEndedMax = 4096;                    // 10 ms' worth at full speed
constexpr Duration kRatePause = std::chrono::milliseconds{1};  // starts are paced no finer

}  // namespace

Core::Core(CoreOptions options, Now now)
    : options_(std::move(options)),
      random_(options_.seed),
      started_at_(now.steady),
      ticked_at_(now.steady),
      triggers_(std::string(store::kTriggers), options_.window, shared_by_windows_, options_.later),
      claims_({.window = options_.dedup_window,
               .kept_max = options_.claims_kept_max,
               .journaled = options_.durability != Durability::kMemory}),
      relays_(options_.relay),
      just_ended_(kJustEndedMax) {
  call(store::Begin{options_.layout}, ForBegin{});
}

Core::~Core() = default;

// ---- plumbing ----

void Core::send(const Peer& peer, const protocol::Message& message) {
  const bool waits = std::holds_alternative<protocol::Published>(message);
  (waits ? last_frames_ : frames_).push_back({peer, protocol::encode(message)});
}

// Publishers hear last: whoever is woken first has a processor first, and what is to run is
// waited for by more than one.
std::vector<OutgoingFrame> Core::take_frames() {
  auto frames = std::exchange(frames_, {});
  frames.insert(frames.end(), std::make_move_iterator(last_frames_.begin()),
                std::make_move_iterator(last_frames_.end()));
  last_frames_.clear();
  return frames;
}

void Core::refuse(const Peer& peer, std::uint64_t request, protocol::Refusal code,
                  std::string message) {
  send(peer, protocol::Refused{request, code, std::move(message)});
}

void Core::refuse_unreadable(const Peer& peer, std::string_view frame, const Error& error) {
  if (!options_.protections.answer_garbage) return;
  const protocol::Refused refused = protocol::refusal_of(frame, error);
  const bool other_version = refused.code == protocol::Refusal::kVersion;
  ++(other_version ? counters_.frames_wrong_version : counters_.frames_malformed);
  send(peer, refused);
}

void Core::call(store::Call call, Purpose purpose) {
  const Ticket ticket{next_ticket_++};
  purposes_.emplace(ticket, std::move(purpose));
  calls_.push_back({ticket, std::move(call)});
}

void Core::end(Error error) {
  if (!ended_) ended_ = std::move(error);
}

FunctionState* Core::find_function(std::string_view name) {
  const auto at = functions_.find(std::string(name));
  return at == functions_.end() ? nullptr : at->second.get();
}

bool Core::is_deployed(const std::string& name) const {
  const auto at = functions_.find(name);
  return at != functions_.end() && at->second->deployed;
}

FunctionState* Core::find_source(std::string_view name) {
  return name == store::kTriggers ? &triggers_ : find_function(name);
}

void Core::touch(FunctionState& function) {
  if (&function == &triggers_) return;  // nothing is ever lent of it
  if (std::find(touched_.begin(), touched_.end(), &function) == touched_.end()) {
    touched_.push_back(&function);
  }
}

// ---- in ----

// What each message does; one line each, the work is elsewhere.
struct Core::FrameHandler {
  Core& core;
  const Peer& peer;
  Session* session;
  Now now;
  std::size_t bytes;  // of the frame

  void operator()(protocol::Invoke& m) { core.on_invoke(peer, session, m, now); }
  void operator()(protocol::Await& m) { core.on_await(peer, m, now); }
  void operator()(protocol::Admin& m) { core.on_admin(peer, m, now); }
  void operator()(protocol::Hello& m) { core.on_hello(peer, std::move(m), now); }
  void operator()(protocol::Credit& m) {
    if (known()) core.on_credit(*session, m);
  }
  void operator()(protocol::Done& m) {
    if (known()) core.on_done(*session, m, now);
  }
  void operator()(protocol::Heartbeat& m) {
    if (!known()) return;
    core.on_heartbeat(*session, m, now);
    core.send(peer, protocol::HeartbeatAck{session->id.value(), session->done_number});
  }
  void operator()(protocol::Commit& m) { relay(m); }
  void operator()(protocol::ReadRows& m) { relay(m); }
  void operator()(protocol::TellUsage& m) { relay(m); }
  void operator()(protocol::FetchPackage& m) {
    if (known()) core.on_fetch_package(*session, m, now);
  }
  void operator()(protocol::Prepared& m) {
    if (session) core.on_prepared(*session, m, now);
  }
  void operator()(protocol::Bye&) {
    if (session) core.lose_session(session->id, protocol::Outcome::kDrained, now);
  }
  // The rest travels the other way.
  template <typename Other>
  void operator()(Other&) {
    ++core.counters_.frames_malformed;
    core.refuse(peer, 0, protocol::Refusal::kMalformed, "a broker does not take this message");
  }

  template <typename M>
  void relay(M& m) {
    if (!known()) return;
    const std::uint64_t request = m.request;
    core.on_relayed(*session, request, store::to_call(std::move(m)), bytes);
  }

  // A worker we do not know (any more) must introduce itself before anything it says counts.
  bool known() {
    if (!session) core.send(peer, protocol::Reset{});
    return session != nullptr;
  }
};

// What each answer of the store belongs to.
struct Core::AnswerHandler {
  Core& core;
  Result<store::Answer>& answer;
  Now now;

  template <typename T>
  T* got() {
    return answer ? std::get_if<T>(&*answer) : nullptr;
  }
  void operator()(ForBegin& p) {
    if (auto* begun = got<store::Begun>()) return core.on_begun(*begun, now);
    core.begin_again(store::Begin{core.options_.layout}, p, answer.error(), now);
  }
  void operator()(ForRegistry& p) {
    if (auto* list = got<store::FunctionList>()) return core.on_registry(std::move(*list), now);
    core.begin_again(store::ListFunctions{}, p, answer.error(), now);
  }
  void operator()(ForWorkers& p) {
    if (auto* list = got<store::WorkerList>()) {
      core.awaited_workers_ = std::move(list->names);
      core.awaited_known_ = true;
      return core.maybe_open_dispatch(now);
    }
    core.begin_again(store::ListWorkers{}, p, answer.error(), now);
  }
  void operator()(ForTopics& p) {
    if (auto* list = got<store::TopicList>()) return core.on_topics(std::move(*list));
    core.begin_again(store::ListTopics{}, p, answer.error(), now);
  }
  void operator()(ForTopicsSet&) { core.on_topics_set(answer); }
  void operator()(ForNote&) {}
  void operator()(ForOffice& p) { core.on_office(p, answer.has_value()); }
  void operator()(ForSurvey& p) {
    if (!p.function->survey || p.function->survey->number != p.number) return;
    if (auto* surveyed = got<store::Surveyed>()) return core.on_surveyed(*p.function, *surveyed);
    core.on_survey_failed(*p.function, answer.error(), now);
  }
  void operator()(ForAppend& p) { core.on_appended(*p.chunk, answer, now); }
  void operator()(ForPage& p) {
    if (p.reading != p.function->reading) return;
    if (auto* paged = got<store::Paged>()) {
      return core.on_paged(*p.function, p.lane, std::move(*paged), now);
    }
    p.function->queue.on_page_failed(p.lane, now.steady);
    core.check_readable(*p.function, answer.error());
  }
  void operator()(ForDue& p) {
    if (p.reading != p.function->reading) return;
    core.on_due(*p.function, p.page, got<store::DueRows>(), now);
    if (!answer) core.check_readable(*p.function, answer.error());
  }
  void operator()(ForRepublish& p) { core.on_republished(*p.chunk, answer, now); }
  void operator()(ForOutboxCounts& p) { core.on_outbox_counts(p, answer, now); }
  void operator()(ForOutbox& p) { core.on_outbox_page(*p.function, answer, now); }
  void operator()(ForPostpone& p) { core.on_postponed(p, answer, now); }
  void operator()(ForBury& p) { core.on_buried(p, answer, now); }
  void operator()(ForLetters& p) { core.on_letters(p, answer, now); }
  void operator()(ForRedrive& p) { core.on_redriven(p, answer); }
  void operator()(ForPurgeLetters& p) { core.on_letters_purged(p, answer); }
  void operator()(ForRecall& p) { core.on_recalled(p.peer, p.frame, answer, now); }
  void operator()(ForLookup& p) { core.on_looked_up(p, answer, now); }
  void operator()(ForDeploy& p) { core.on_deployed(p, answer, now); }
  void operator()(ForGenerations& p) { core.on_generations(p, answer, now); }
  void operator()(ForRemove& p) { core.on_removed(p, answer); }
  void operator()(ForSetState& p) { core.on_state_set(p, answer); }
  void operator()(ForWish& p) { core.on_wish_allowed(p, answer); }
  void operator()(ForFind& p) { core.on_found(p, answer, now); }
  void operator()(ForPurgedRows& p) { core.on_purged_rows(p, answer, now); }
};

void Core::on_frame(const Peer& peer, std::string_view frame, Now now) {
  // The one message whose volume matters is read in place.
  if (protocol::peek_kind(frame) == 1) return on_publish(peer, frame, now);

  auto message = protocol::decode(frame);
  if (!message) return refuse_unreadable(peer, frame, message.error());
  Session* session = session_of(peer);
  if (session) session->heard = now.steady;

  std::visit(FrameHandler{*this, peer, session, now, frame.size()}, *message);
}

void Core::on_not_one_frame(const Peer& peer) {
  refuse_unreadable(peer, {}, reject("a message is one frame, without a delimiter"));
}

void Core::on_not_allowed(const Peer& peer, std::string_view frame, std::string why) {
  ++counters_.frames_not_allowed;
  refuse(peer, protocol::request_of(frame), protocol::Refusal::kNotAllowed, std::move(why));
}

void Core::on_connection_refused(ConnectionRefusal why) {
  ++counters_.connections_refused[static_cast<std::size_t>(why)];
}

void Core::on_workers_barred(std::string_view peers, Now now) {
  std::vector<SessionId> barred;
  for (const auto& [id, session] : sessions_) {
    if (session.peer.starts_with(peers)) barred.push_back(id);
  }
  for (const SessionId id : barred) lose_session(id, protocol::Outcome::kWorkerLost, now);
}

void Core::on_cut_off(std::size_t connections) {
  counters_.connections_cut_off += connections;
}

void Core::on_answer(Ticket ticket, Result<store::Answer> answer, Now now) {
  const auto at = purposes_.find(ticket);
  if (at == purposes_.end()) return;
  Purpose purpose = std::move(at->second);
  purposes_.erase(at);

  if (!answer &&
      (answer.error().kind == ErrorKind::kStale || answer.error().kind == ErrorKind::kFatal)) {
    end(answer.error());
  }

  std::visit(AnswerHandler{*this, answer, now}, purpose);
}

void Core::on_peer_gone(const Peer& peer, Now now) {
  ++counters_.sends_failed;
  // A worker's connection is gone, but the worker may live: it will say Hello again and name what
  // it holds. Until then its leases stand; its pidfd or the lease's end decide.
  if (const auto at = session_by_peer_.find(peer); at != session_by_peer_.end()) {
    for (auto& [name, function] : functions_) {
      std::erase_if(function->credit, [&](const CreditLine& l) { return l.session == at->second; });
    }
    session_by_peer_.erase(at);
  }
  std::erase_if(waiters_, [&](const Waiter& waiter) { return waiter.peer == peer; });
  (void)now;
}

void Core::on_worker_died(SessionId session, Now now) {
  lose_session(session, protocol::Outcome::kWorkerLost, now);
}

void Core::tick(Now now) {
  ticked_at_ = now.steady;
  maybe_open_dispatch(now);

  std::vector<SessionId> silent;
  for (const auto& [id, session] : sessions_) {
    if (now.steady - session.heard >= options_.lease) silent.push_back(id);
  }
  for (const SessionId id : silent) lose_session(id, protocol::Outcome::kWorkerLost, now);

  // Whoever has not come back within a lease is not waited for by the next broker either.
  if (phase_ == Phase::kRunning && now.steady >= began_at_ + options_.lease) {
    for (const auto& name : std::exchange(awaited_workers_, {})) {
      call(store::NoteWorker{epoch_, name, {}, true}, ForNote{});
    }
  }

  expire_waits(now);
  expire_deployments(now);
  check_office(now);
  note_rates(now);
  look_at_outboxes(now);

  for (auto& repeat : std::exchange(repeat_later_, {})) {
    if (repeat.at <= now.steady) {
      if (auto* of = std::get_if<ForSurvey>(&repeat.purpose)) {
        survey(*of->function);
        continue;
      }
      call(std::move(repeat.call), std::move(repeat.purpose));
    } else {
      repeat_later_.push_back(std::move(repeat));
    }
  }
  for (auto& [name, function] : functions_) {
    read_on(*function, now);
    read_outbox(*function, now);
    expire_invocations(*function, now);
    // Time alone can make these lendable, or expired, or end a worker's rest.
    if (function->waiting() > 0 || function->purge) touch(*function);
  }
  look_at_triggers(now);
  shelf_.tick(now.steady);
  recount(now);
}

// A broker cannot start without this. What Redis refuses a person has to mend: until then the
// broker stays up and says what it is.
void Core::begin_again(store::Call call, Purpose purpose, const Error& error, Now now) {
  if (ended_) return;
  spdlog::error("the broker cannot start yet, and tries again: {}", error.message);
  repeat_later_.push_back({begin_backoff_.fail(now.steady), std::move(call), std::move(purpose)});
}

void Core::note_rates(Now now) {
  const Counters& c = counters_;
  rate_.note(now.steady, c.events_accepted,
             c.deliveries_succeeded + c.deliveries_dead + c.deliveries_expired);
  for (auto& [name, function] : functions_) {
    if (!function->surveyed) continue;  // what Redis holds already has not just come
    const auto& counts = function->counts;
    const std::int64_t done = counts.succeeded + counts.dead + counts.expired + counts.cancelled;
    function->meter.note(now.steady,
                         static_cast<std::uint64_t>(std::max<std::int64_t>(0, counts.accepted)),
                         static_cast<std::uint64_t>(std::max<std::int64_t>(0, done)));
  }
}

void Core::flush(Now now) {
  if (ended_) return;
  admit_in_turns(now);
  look_up_claims();
  take_looked_up();  // what was set aside behind keys that are known by now
  cut_chunks(now);
  read_outboxes(now);
  cut_caused(now);
  if (phase_ == Phase::kRunning) {
    for (FunctionState* function : std::exchange(touched_, {})) {
      if (std::exchange(function->doubtful, false)) read_anew(*function);
      if (function->purge) purge_on(*function, now);
      dispatch(*function, now);
      read_on(*function, now);
    }
  }
  tell_local();
  flush_endings();
}

void Core::begin_drain() {
  draining_ = true;
}

// Counted from the last tick, not from now: a caller that asks after every turn must not put the
// next one off for ever.
Duration Core::until_next_tick(Now now) const {
  using namespace std::chrono_literals;
  const Duration pause = phase_ == Phase::kRecovering ? 5ms : 100ms;
  Duration wait = ticked_at_ + pause - now.steady;
  const std::int64_t now_ms = to_ms(now.wall), pause_ms = pause / 1ms;
  for (const auto& [name, function] : functions_) {
    // One that has passed since was looked at by the last tick, and waits for something else.
    if (const auto next = function->rate.waits_until();
        next && *next > ticked_at_ && function->lendable() > 0) {
      wait = std::min(wait, std::max<Duration>(*next - now.steady, kRatePause));
    }
    if (!function->later.may_read() || function->due_backoff.rests(now.steady)) continue;
    const std::int64_t next_ms = *function->later.next_due_ms() - now_ms;
    wait = std::min<Duration>(wait, std::chrono::milliseconds{std::min(next_ms, pause_ms)});
  }
  return std::max(wait, Duration::zero());
}

bool Core::settled() const {
  return purposes_.empty() && relays_.calls() == 0 && arrived_.empty() && begun_.empty() &&
         incoming_.empty() && looking_up_.empty() && caused_.empty() && endings_.empty() &&
         std::ranges::all_of(repeat_later_, [](const Postponed& repeat) {
           return std::holds_alternative<ForSurvey>(repeat.purpose);
         });
}

}  // namespace fanfare::broker
