// Workers come, report, and vanish.
#include <algorithm>

#include "broker/core.h"
#include "broker/event_times.h"
#include "broker/ledger.h"

namespace fanfare::broker {

using protocol::Outcome;

namespace {

constexpr Duration kRest = std::chrono::milliseconds{100};
constexpr std::uint32_t kPromptDispatches = 256;  // of one delivery, by one broker

bool same_origin(const protocol::Hello& a, const protocol::Hello& b) {
  return a.host == b.host && a.pid == b.pid && a.pid_started == b.pid_started;
}

}  // namespace

Session* Core::session_of(const Peer& peer) {
  const auto at = session_by_peer_.find(peer);
  return at == session_by_peer_.end() ? nullptr : &sessions_.at(at->second);
}

void Core::on_hello(const Peer& peer, protocol::Hello hello, Now now) {
  if (phase_ == Phase::kStarting || ended_) {
    ++counters_.hellos_refused;
    return refuse(peer, 0, protocol::Refusal::kUnavailable,
                  "the broker is starting; say hello again");
  }
  // A worker that was here before under this name: what it still holds moves to the new session,
  // the rest was lost on the way to it and goes back.
  std::vector<SessionId> former;
  for (const auto& [id, session] : sessions_) {
    if (session.hello.name == hello.name || session.peer == peer) former.push_back(id);
  }
  const SessionId id{next_session_++};
  std::vector<protocol::HeldDelivery> held = std::move(hello.held);
  hello.held.clear();
  Session session;
  if (hello.relayed) note_held_functions(session, held);
  session.id = id;
  session.peer = peer;
  session.heard = now.steady;
  // Done batches that were taken but not yet acknowledged arrive again; their rows are stale then.
  session.hello = std::move(hello);
  session.state = session.hello.state.value_or(protocol::WorkerState::kRunning);
  sessions_.emplace(id, session);
  session_by_peer_[peer] = id;
  ++counters_.workers_joined;

  // Of several attempts of one delivery only the latest can be going on.
  std::ranges::stable_sort(held, std::ranges::greater{}, &protocol::HeldDelivery::token);
  auto waiting = take_out(held);
  std::map<FunctionState*, std::unordered_set<protocol::EventId>> seen;
  for (const auto& one : held) {
    FunctionState* function = find_function(one.function);
    if (!function || !seen[function].insert(one.id).second) continue;
    adopt(*function, one, waiting[function], id, now);
  }
  for (const SessionId old : former) {
    // What the same process does not name never reached it. Another process under this name means
    // that the former one died with all it had, perhaps of one of them.
    const bool same_process = same_origin(sessions_.at(old).hello, session.hello);
    lose_session(old, same_process ? Outcome::kDrained : Outcome::kWorkerLost, now);
  }

  send(peer,
       protocol::Welcome{.session = id.value(),
                         .epoch = epoch_,
                         .heartbeat_ms = static_cast<std::uint32_t>(to_ms(options_.heartbeat)),
                         .lease_ms = static_cast<std::uint32_t>(to_ms(options_.lease)),
                         .functions = function_specs(),
                         .relay_calls = options_.relay.calls_per_worker,
                         .relay_bytes = options_.relay.bytes_per_worker,
                         .layout = layout_});
  greet_with_local(sessions_.at(id));
  greet_with_wish(sessions_.at(id));
  ask_newcomer(sessions_.at(id));
  call(store::NoteWorker{epoch_, session.hello.name, {}, false}, ForNote{});
  joined_.push_back(sessions_.at(id));
  std::erase(awaited_workers_, session.hello.name);
  maybe_open_dispatch(now);
  options_.failpoint("broker.hello.taken");
}

// What a worker names and waits here, out of its queues: each is gone through once, however much it
// names.
std::map<FunctionState*, Core::TakenOut> Core::take_out(
    const std::vector<protocol::HeldDelivery>& held) {
  std::map<FunctionState*, std::unordered_set<protocol::EventId>> named;
  for (const auto& one : held) {
    FunctionState* function = find_function(one.function);
    if (function && function->waiting() > 0) named[function].insert(one.id);
  }
  std::map<FunctionState*, TakenOut> taken;
  for (const auto& [function, ids] : named) {
    TakenOut& out = taken[function];
    const auto is_named = [&ids](const Pending& one) { return ids.contains(one.id); };
    for (Pending& one : function->queue.take_if(is_named, ids.size())) {
      out.emplace(one.id, std::move(one));
    }
    std::erase_if(function->suspects, [&](Pending& one) {
      if (!is_named(one)) return false;
      out.emplace(one.id, std::move(one));
      return true;
    });
  }
  return taken;
}

// A worker says that it holds this delivery.
void Core::adopt(FunctionState& function, const protocol::HeldDelivery& held, TakenOut& taken_out,
                 SessionId session, Now now) {
  if (const auto cut = function.cut.find(held.id);
      cut != function.cut.end() && cut->second.token == held.token) {
    cut->second.session = session;  // that it is to be dropped may not have reached it
    return tell_to_drop(function, held.id, cut->second);
  }
  if (Lease* const lease = function.leases.find(held.id)) {
    // Lent to its former session: it stays lent. To another worker: both run, the first commit
    // wins. Of an attempt that was named before (here, or by another worker, whose report is on its
    // way), this one has come after: it is what goes on.
    if (held.token < lease->token) return;
    lease->token = held.token;
    lease->delivery.dispatches = std::max(lease->delivery.dispatches, held.token.value & 0xFFFu);
    const SessionId former = std::exchange(lease->session, session);
    if (former == session || !is_suspect(lease->delivery)) return;
    ++sessions_.at(session).suspects_lent;
    std::size_t& alone = sessions_.at(former).suspects_lent;
    if (alone > 0) --alone;
    return;
  }
  if (function.moving.contains(held.id)) return;
  if (auto taken = taken_out.extract(held.id)) {
    Pending& waiting = taken.mapped();
    if (held.token > waiting.moved_by) {
      return grant(function, std::move(waiting), session, held.token, now);
    }
    // That attempt's failure has been counted, only its worker does not know yet.
    return wait_again(function, std::move(waiting), now);
  }
  // Not read from the journal yet; what ended meanwhile will never be read, so this may stay for
  // good. It goes with the session. Of several attempts, unconfirmed reports among them, only the
  // latest can be going on; the same one named again belongs to the session that names it last.
  function.announced_at = now.steady;
  auto& announced = function.announced[held.id];
  if (held.token >= announced.second) announced = {session, held.token};
}

bool Core::lend_if_announced(FunctionState& function, Pending& delivery, Now now) {
  if (function.announced.empty()) return false;
  const auto at = function.announced.find(delivery.id);
  if (at == function.announced.end()) return false;
  const auto [session, token] = at->second;
  function.announced.erase(at);
  if (token <= delivery.moved_by) return false;
  grant(function, std::move(delivery), session, token, now);
  return true;
}

// The worker has it already, under this token; further attempts must not repeat it.
void Core::grant(FunctionState& function, Pending delivery, SessionId session,
                 protocol::AttemptToken token, Now now) {
  delivery.dispatches = std::max(delivery.dispatches, token.value & 0xFFFu);
  if (is_suspect(delivery)) ++sessions_.at(session).suspects_lent;
  if (delivery.ordered) {
    for (const auto& rival : function.queue.keys().rivals(delivery.flow, delivery.id)) {
      doubt(function, rival);
    }
    function.queue.keys().hold(delivery.flow, delivery.id);
  }
  function.leases.grant({std::move(delivery), session, token, to_ms(now.wall)});
}

// Another one of its key runs, though this one comes first: whoever lent that had heard that this
// one had ended. It must not run once more, behind its successor, so it is read again: Redis has
// the say.
void Core::doubt(FunctionState& function, const protocol::EventId& id) {
  if (function.leases.contains(id) || function.moving.contains(id)) return;
  auto doubtful = take_waiting(function, id);
  if (!doubtful) return;
  if (doubtful->origin == protocol::Origin::kMemory) {  // known to this broker alone
    return function.queue.put_back(*std::move(doubtful));
  }
  function.queue.keys().drop(id);
  if (doubtful->origin == protocol::Origin::kJournal) {
    doubtful->packed_event = {};
    function.lent_before.insert_or_assign(id, *std::move(doubtful));
    function.doubtful = true;
    return touch(function);
  }
  function.later.read_again(id, doubtful->due_ms);
  touch(function);
}

// Whether it may be what its workers die of: then it is lent alone, so that the loss that buries it
// is its own. One loss says little, a killed worker had hundreds: those go on at once.
bool Core::is_suspect(const Pending& delivery) const {
  constexpr std::uint32_t kLossesMax = 2;  // in company
  const std::uint32_t losses = delivery.worker_losses;
  return losses > 0 && (losses >= kLossesMax || losses + 1 >= options_.worker_losses_max);
}

// Back among those that wait; a suspect goes on alone. A former broker whose clock was ahead may
// have lent it before its time.
void Core::wait_again(FunctionState& function, Pending delivery, Now now) {
  if (put_off(function, delivery, now)) return;
  const bool may_go = !delivery.ordered || function.queue.keys().is_holder(delivery.id);
  if (is_suspect(delivery) && may_go) {
    function.suspects.push_back(std::move(delivery));
  } else if (function.queue.will_be_read(delivery)) {
    function.lent_before.insert_or_assign(delivery.id, std::move(delivery));
  } else {
    function.queue.put_back(std::move(delivery));
  }
  touch(function);
}

void Core::on_credit(Session& session, const protocol::Credit& credit) {
  for (const auto& row : credit.rows) {
    FunctionState* function = find_function(row.function);
    if (!function) continue;
    CreditLine* line = function->credit_of(session.id);
    if (!line) {
      function->credit.push_back({session.id, 0, 0, false, {}, !session.takes_work()});
      line = &function->credit.back();
    }
    line->total = std::max(line->total, row.total);
    line->warm = row.warm;
    touch(*function);
  }
  options_.failpoint("broker.credit.taken");
}

void Core::on_heartbeat(Session& session, protocol::Heartbeat& heartbeat, Now now) {
  session.load = std::move(heartbeat.rows);
  session.waiting = heartbeat.waiting;
  session.running = std::move(heartbeat.running);
  if (session.running.size() > protocol::kRunningInHeartbeatMax) {
    session.running.resize(protocol::kRunningInHeartbeatMax);
  }
  session.running_at = now.steady;
  on_local_report(session, heartbeat.local);
  session.broken = std::move(heartbeat.broken);
  session.broken.resize(std::min(session.broken.size(), protocol::kBrokenInHeartbeatMax));
  if (std::exchange(session.state, heartbeat.state) != heartbeat.state) {
    follow_state(session);
    if (session.state == protocol::WorkerState::kTerminating) lose_in_deployments(session.id, now);
  }
  remind_of_wish(session);
}

void Core::on_done(Session& session, protocol::Done& done, Now now) {
  for (const auto& name : done.outboxes) {
    if (FunctionState* function = find_function(name)) want_outbox(*function);
  }
  session.done_number = std::max(session.done_number, done.number);
  for (auto& row : done.rows) on_done_row(session, row, now);
  for (const auto& group : done.committed) {
    FunctionState* function = find_function(group.function);
    for (std::size_t i = 0; i < group.count(); ++i) {
      options_.tracepoint(protocol::Hop::kDone, group.id(i).entry);
      auto lease = end_lease(session, function, group.id(i), group.token(i), true);
      if (!lease) continue;
      if (function->early.contains(group.id(i))) {  // it was not to be committed yet, and was not
        take_back(*function, *std::move(lease), Outcome::kDrained, now);
      } else {
        on_success(*function, *lease);
      }
    }
  }
  options_.failpoint("broker.done.taken");
}

// What `session` holds under this token is not lent any more. Nothing if another attempt holds it,
// or it has ended: if this one committed, the journal says so already, and whoever reads or runs it
// again will find out. `ended_there`: it has ended for good, Redis knows.
std::optional<Lease> Core::end_lease(Session& session, FunctionState* function,
                                     const protocol::EventId& id, protocol::AttemptToken token,
                                     bool ended_there) {
  if (!function) {
    ++counters_.reports_stale;
    return std::nullopt;
  }
  if (const auto cut = function->cut.empty() ? function->cut.end() : function->cut.find(id);
      cut != function->cut.end() && cut->second.token == token) {
    function->cut.erase(cut);  // its worker has let go of it, however it ended there
    touch(*function);
    return std::nullopt;
  }
  const Lease* const held = function->leases.find(id);
  if (!held || held->token != token || held->session != session.id) {
    ++counters_.reports_stale;
    // What was announced and has ended is not held any more, but a page under way may still have
    // it; a failure that came too early to be counted costs another attempt.
    if (const auto announced = function->announced.find(id);
        announced != function->announced.end() && announced->second.second == token) {
      function->announced.erase(announced);
      if (ended_there) {
        if (function->queue.is_paging()) function->ended_while_paging.insert(id);
        function->later.end_unread(id, token);
      }
      touch(*function);
    }
    return std::nullopt;
  }
  Lease lease = function->leases.take(id);
  touch(*function);
  if (is_suspect(lease.delivery) && session.suspects_lent > 0) --session.suspects_lent;
  return lease;
}

void Core::on_success(FunctionState& function, const Lease& lease) {
  ++counters_.deliveries_succeeded;
  ++function.measures.succeeded;
  ++function.counts.succeeded;
  const bool later = lease.delivery.origin == protocol::Origin::kLater;
  --(later ? function.counts.later : function.counts.open);
  if (function.survey) ++(later ? function.survey->ended_later : function.survey->ended_open);
  if (lease.delivery.origin == protocol::Origin::kMemory) {
    memory_bytes_ -= lease.delivery.packed_event.size();
  }
  settle(function, lease.delivery.id);
}

void Core::on_done_row(Session& session, protocol::Done::Row& row, Now now) {
  FunctionState* function = find_function(row.function);
  auto lease = end_lease(session, function, row.id, row.token, row.outcome == Outcome::kOk);
  if (!lease) return;
  const bool handed_back = row.outcome == Outcome::kDrained || row.outcome == Outcome::kThrottled;
  if (handed_back) {
    CreditLine* line = function->credit_of(session.id);
    if (line) line->rests_until = now.steady + kRest;
  }
  if (function->early.contains(row.id)) {  // how it ended was not to be reported yet
    return take_back(*function, *std::move(lease), handed_back ? row.outcome : Outcome::kDrained,
                     now, handed_back ? row.failure : protocol::Failure{});
  }
  if (lease->delivery.origin == protocol::Origin::kInvoke && !handed_back) {
    invocation_bytes_ -= lease->delivery.packed_event.size();
    if (const auto caller = function->callers.find(row.id); caller != function->callers.end()) {
      send(caller->second.caller, protocol::Invoked{caller->second.request, std::move(row.record)});
      function->callers.erase(caller);
    }
    return;
  }
  if (row.outcome != Outcome::kOk) return on_failure(*function, *std::move(lease), row, now);
  on_success(*function, *lease);
}

// The delivery has ended for good.
void Core::settle(FunctionState& function, const protocol::EventId& id) {
  function.later.end(id);
  function.queue.end(id);
  if (function.survey && !function.queue.keys().empty()) function.survey->ended.insert(id);
  if (function.reading_again && function.queue.is_paging()) function.ended_while_paging.insert(id);
  if (function.queue.release_key(id)) touch(function);
  just_ended_[next_ended_] = {id, &function};
  next_ended_ = (next_ended_ + 1) % just_ended_.size();
  if (!waiters_.empty()) notify_waiters(id, function.name);
}

void Core::on_failure(FunctionState& function, Lease lease, protocol::Done::Row& row, Now now) {
  if (!protocol::counts_against_budget(row.outcome)) {
    return take_back(function, std::move(lease), row.outcome, now, row.failure);
  }
  options_.failpoint("broker.failure.taken");
  ++counters_.attempts_failed;
  Pending delivery = std::move(lease.delivery);
  ++delivery.attempts;
  delivery.packed_ledger += row.packed_row;
  const auto verdict =
      decide_retry(function.manifest.retry,
                   {.attempts = delivery.attempts,
                    .age_from_ms = delivery.age_from_ms,
                    .now_ms = to_ms(now.wall),
                    .retryable = row.failure.retryable,
                    .result_too_large = row.failure.type == protocol::kResultTooLarge,
                    .retry_after_ms = row.failure.retry_after_ms},
                   std::uniform_real_distribution<double>(0, 1)(random_));
  if (const auto* retry = std::get_if<RetryAt>(&verdict)) {
    ++counters_.deliveries_retried;
    ++function.measures.retried;
    // Lent before its publisher wished, by a broker whose clock was ahead, it still is not retried
    // before.
    const auto options = options_of(delivery.packed_event);
    const bool wished = options && !history_of(delivery.packed_ledger).redriven;
    const std::int64_t due_ms =
        std::max(retry->due_ms, wished ? times_of(*options, delivery.accepted_ms).due_ms : 0);
    return postpone(function, std::move(delivery), lease.token, due_ms);
  }
  bury(function, std::move(delivery), lease.token, std::get<GiveUp>(verdict).reason, row.failure,
       std::move(row.log_tail), now);
}

// A delivery comes back that did not fail by its own doing. What was handed back may run anywhere;
// one whose worker vanished may have been the reason, so it does not go on for ever, see
// is_suspect.
void Core::take_back(FunctionState& function, Lease lease, Outcome why, Now now,
                     const protocol::Failure& failure, const std::string& worker) {
  const auto session = sessions_.find(lease.session);
  const std::string name = session == sessions_.end() ? worker : session->second.hello.name;
  // Nothing that is done about it may reach Redis before its entry does.
  if (const auto early = function.early.find(lease.delivery.id); early != function.early.end()) {
    early->second = {std::move(lease), name, why, failure};
    return;
  }
  Pending delivery = std::move(lease.delivery);
  if (delivery.origin == protocol::Origin::kInvoke) {
    const auto caller = function.callers.find(delivery.id);
    if (caller == function.callers.end()) {
      invocation_bytes_ -= delivery.packed_event.size();
      return;
    }
    if (why != Outcome::kWorkerLost) {  // it had not run: somebody else may
      auto& invocations = function.invocations;
      const auto place = delivery.generation > 0 ? invocations.begin() : behind_nested(invocations);
      invocations.insert(place, std::move(delivery));
      return touch(function);
    }
    ++counters_.invocations_lost;
    invocation_bytes_ -= delivery.packed_event.size();
    refuse(caller->second.caller, caller->second.request, protocol::Refusal::kUnavailable,
           "the worker that ran the function vanished; it may or may not have finished");
    function.callers.erase(caller);
    return;
  }
  protocol::AttemptRow row;
  row.number = delivery.attempts + 1;
  row.outcome = why;
  row.started_ms = lease.lent_ms;
  row.worker = name;
  if (why == Outcome::kWorkerLost) {
    ++counters_.attempts_worker_lost;
    protocol::append_row(delivery.packed_ledger, row);
    ++delivery.worker_losses;
    if (!options_.protections.losses_spare_the_budget) ++delivery.attempts;
    if (delivery.worker_losses >= options_.worker_losses_max) {
      return bury(function, std::move(delivery), lease.token, protocol::DeadReason::kWorkerLosses,
                  {.type = "WorkerLosses",
                   .message = "its worker vanished each time it was lent",
                   .retryable = false,
                   .retry_after_ms = {}},
                  {}, now);
    }
  } else {
    ++(why == Outcome::kThrottled ? counters_.attempts_throttled : counters_.attempts_drained);
    row.error_type = failure.type;
    row.error_message = failure.message;
    note_unhurt(delivery.packed_ledger, row);
    // What is handed back again and again rests, longer each time, so that the numbers of its
    // attempts last for hours.
    if (delivery.dispatches >= kPromptDispatches) {
      const auto rest = std::chrono::seconds{delivery.dispatches / kPromptDispatches};
      return postpone(function, std::move(delivery), lease.token, to_ms(now.wall + rest));
    }
  }
  wait_again(function, std::move(delivery), now);
}

// The session is over: everything lent to it comes back, in the order it was accepted.
void Core::lose_session(SessionId id, Outcome why, Now now) {
  const auto at = sessions_.find(id);
  if (at == sessions_.end()) return;
  options_.failpoint("broker.session.lost");
  if (why == Outcome::kWorkerLost) ++counters_.workers_lost;
  for (auto& [name, function] : functions_) {
    if (options_.protections.take_back_from_lost_workers) {
      for (Lease& lease : function->leases.take_all_of(id)) {
        take_back(*function, std::move(lease), why, now);
      }
    }
    std::erase_if(function->credit, [&](const CreditLine& line) { return line.session == id; });
    if (std::erase_if(function->cut, [&](const auto& cut) { return cut.second.session == id; })) {
      touch(*function);
    }
    if (std::erase_if(function->announced,
                      [&](const auto& entry) { return entry.second.first == id; }) > 0) {
      touch(*function);
    }
  }
  const std::string name = at->second.hello.name;
  if (const auto peer = session_by_peer_.find(at->second.peer);
      peer != session_by_peer_.end() && peer->second == id) {
    session_by_peer_.erase(peer);
  }
  sessions_.erase(at);
  const bool came_back = std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& other) {
    return other.second.hello.name == name;
  });
  if (came_back) return;
  lose_in_deployments(id, now);
  call(store::NoteWorker{epoch_, name, {}, true}, ForNote{});
}

std::vector<protocol::FunctionSpec> Core::function_specs() const {
  std::vector<protocol::FunctionSpec> specs;
  for (const auto& [name, function] : functions_) {
    if (!function->deployed) continue;
    const auto& registered = function->registered;
    specs.push_back({name, registered.manifest_toml, registered.digest, registered.generation});
  }
  return specs;
}

void Core::broadcast_functions() {
  const protocol::Functions message{function_specs()};
  for (const auto& [id, session] : sessions_) send(session.peer, message);
  note_all_local();
  local_changed_ = true;  // of a generation that it has just heard of a worker knows nothing
}

}  // namespace fanfare::broker
