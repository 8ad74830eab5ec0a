// From waiting to lent: which delivery goes to which worker.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <span>

#include "broker/core.h"
#include "protocol/deliver_view.h"

namespace fanfare::broker {
namespace {

// Bounds of one Deliver message: large enough to spare messages, small enough to start work early.
constexpr std::size_t kDeliverCountMax = 512;
constexpr std::size_t kDeliverBytesMax = 512 * 1024;

// Whether no more may run at once.
bool all_run(const FunctionState& function) {
  const std::size_t most = function.manifest.max_concurrency;
  return most > 0 && function.running() >= most;
}

// Neighbours were accepted together: those are observed at once.
void note_queue_time(Histogram& histogram, std::span<const Pending> deliveries,
                     std::int64_t now_ms) {
  const auto ready_ms = [](const Pending& one) {
    return std::max({one.accepted_ms, one.age_from_ms, one.due_ms});
  };
  for (auto at = deliveries.begin(); at != deliveries.end();) {
    const std::int64_t since_ms = ready_ms(*at);
    const auto end = std::find_if(at, deliveries.end(),
                                  [&](const Pending& one) { return ready_ms(one) != since_ms; });
    histogram.observe(std::chrono::milliseconds{now_ms - since_ms},
                      static_cast<std::uint64_t>(end - at));
    at = end;
  }
}

// For what workers run and this broker has not read: it appears, or its report comes, long before.
constexpr Duration kUnknownKeysWait = std::chrono::seconds{1};

}  // namespace

// Whether a delivery's time lies ahead and it goes to `later`, or it is being purged. Its time is
// kept by this broker's clock alone; what lies in `later` already was due when it was read.
bool Core::put_off(FunctionState& function, Pending& delivery, Now now) {
  using enum protocol::Origin;
  if (function.purge && is_purged(function, delivery)) {
    end_cancelled(function, std::move(delivery), own_token(), protocol::DeadReason::kPurged, now);
    return true;
  }
  if (delivery.origin == kLater || delivery.origin == kInvoke) return false;
  if (delivery.due_ms <= to_ms(now.wall)) return false;
  const std::int64_t due_ms = delivery.due_ms;
  // Its time has not come: until then it has no place in its key.
  if (delivery.ordered && function.queue.release_key(delivery.id)) touch(function);
  postpone(function, std::move(delivery), own_token(), due_ms);
  return true;
}

// Whether the workers that were registered when this broker took office have said what they run, or
// had a lease's time for it. What must never run twice at once waits for that.
bool Core::all_are_back(Now now) const {
  return (awaited_known_ && awaited_workers_.empty()) || now.steady >= began_at_ + options_.lease ||
         !options_.protections.wait_for_announcements;
}

// From when deliveries with an ordering key may go: then it is known who has which key. What runs
// may also lie in `later`, due since before, so these rows are read first. What a worker has named
// and is not known yet (a former broker may have gone on lending, by another clock) is waited for.
void Core::maybe_open_keys(FunctionState& function, Now now) {
  if (function.queue.keys_are_open() || !function.surveyed || !all_are_back(now)) return;
  if (!former_is_out(now)) return;
  const auto next_due_ms = function.later.next_due_ms();
  const bool rows_read = !function.later.reading() && (!next_due_ms || *next_due_ms > began_ms_);
  const bool all_known =
      function.announced.empty() || now.steady >= function.announced_at + kUnknownKeysWait;
  if ((rows_read && all_known) || now.steady >= began_at_ + options_.lease)
    function.queue.open_keys();
}

// A delivery may be lent from now on, unless a worker has it already or its time lies ahead. False
// if it went elsewhere. What runs already is not put off: its attempt would be fenced off.
bool Core::make_ready(FunctionState& function, Pending&& delivery, Now now) {
  if (lend_if_announced(function, delivery, now) || put_off(function, delivery, now)) return false;
  // One that waits for its key is suspected no less when its turn comes, see take_next.
  if (is_suspect(delivery) && !delivery.ordered) {
    function.suspects.push_back(std::move(delivery));
  } else {
    function.queue.push(std::move(delivery));
  }
  touch(function);
  return true;
}

// How many deliveries a worker may be sent now.
//
// What a worker is given ahead of its slots goes to whoever has much waiting. A part of that, half
// a delivery for each slot, is kept for tenants that had nothing here: theirs need not wait until
// the worker has got through some of what it has.
std::size_t Core::room_of(const FunctionState& function, const CreditLine& line, Next next) const {
  const std::size_t available = line.available();
  if (next == Next::kFresh || !function.queue.knows_tenants()) return available;
  const std::size_t slots = sessions_.at(line.session).hello.slots;
  const std::size_t window = function.leases.held_by(line.session) + available;
  const std::size_t kept = window > slots ? std::min(slots / 2, (window - slots) / 2) : 0;
  return available - std::min(available, kept);
}

// Warm workers first: a start costs more than anything else here. Among equals the one that may be
// sent most, which spreads bursts over the workers.
CreditLine* Core::choose_worker(FunctionState& function, Next next, Now now) {
  CreditLine* best = nullptr;
  for (CreditLine& line : function.credit) {
    if (now.steady < line.rests_until || room_of(function, line, next) == 0) continue;
    if (next == Next::kSuspect && sessions_.at(line.session).suspects_lent > 0) continue;
    if (!best || (line.warm && !best->warm) ||
        (line.warm == best->warm && line.available() > best->available())) {
      best = &line;
    }
  }
  return best;
}

bool Core::take_next(FunctionState& function, Session& session, Next kind, Now now, Pending& out) {
  const std::int64_t now_ms = to_ms(now.wall);
  const auto max_age_ms = static_cast<std::int64_t>(to_ms(function.manifest.retry.max_age));
  if (!function.invocations.empty()) {
    out = std::move(function.invocations.front());
    function.invocations.pop_front();
    return true;
  }
  while (true) {
    if (kind == Next::kFresh) {
      if (!function.queue.take_fresh(out)) return false;
    } else if (!function.suspects.empty() && session.suspects_lent == 0) {
      out = std::move(function.suspects.front());
      function.suspects.pop_front();
    } else if (!function.queue.take(out)) {
      return false;
    }
    if (is_suspect(out) && session.suspects_lent > 0) {
      function.suspects.push_back(std::move(out));
      continue;
    }
    if (out.dispatches >= protocol::kAttemptNumberMax) {
      return renew_numbers(function, std::move(out), now);
    }
    const bool expired =
        (out.expires_ms != 0 && out.expires_ms <= now_ms) || now_ms - out.age_from_ms > max_age_ms;
    if (out.generation > protocol::kGenerationsMax) {
      bury_recursion(function, std::move(out), now);
      continue;
    }
    if (!expired) return true;
    expire(function, std::move(out), now);
  }
}

// Another attempt would carry the token of one that may still be going on, whose result would then
// be taken for its. Under the next epoch the numbers begin anew.
bool Core::renew_numbers(FunctionState& function, Pending delivery, Now now) {
  end(
      reconnect(fmt::format("delivery {} of function {} was lent {} times, starting anew to have "
                            "further numbers for its attempts",
                            protocol::to_string(delivery.id), function.name, delivery.dispatches)));
  wait_again(function, std::move(delivery), now);
  return false;
}

void Core::dispatch(FunctionState& function, Now now) {
  expire_invocations(function, now);
  maybe_open_keys(function, now);
  note_local(function);
  if (function.registered.paused) return;
  const bool held_up = held_by_outbox(function);
  if (held_up && !waits_in_a_circle(function)) return;
  if (function.manifest.max_concurrency > 0 && !(all_are_back(now) && former_is_out(now))) return;
  if (function.lendable() > 0 && !may_lend_alone(function, now)) return;
  const std::size_t running_max = function.manifest.max_concurrency > 0
                                      ? function.manifest.max_concurrency
                                      : std::numeric_limits<std::size_t>::max();
  held_up ? lend_one(function, running_max, now) : lend_waiting(function, running_max, now);
}

// As many as may run at once and workers have room for.
void Core::lend_waiting(FunctionState& function, std::size_t running_max, Now now) {
  std::vector<Pending> batch;
  while (function.lendable() > 0 && function.running() < running_max) {
    const bool only_suspects = function.queue.ready() == 0 && function.invocations.empty();
    Next kind = only_suspects ? Next::kSuspect : Next::kAny;
    CreditLine* line = choose_worker(function, kind, now);
    if (!line && (function.queue.has_fresh() || !function.invocations.empty())) {
      kind = Next::kFresh;
      line = choose_worker(function, kind, now);
    }
    if (!line) return;
    const std::size_t may_start = function.rate.allowed(now.steady);
    if (may_start == 0) return;
    Session& session = sessions_.at(line->session);
    const std::size_t room =
        std::min<std::size_t>({room_of(function, *line, kind), kDeliverCountMax,
                               running_max - function.running(), may_start});
    std::size_t bytes = 0;
    batch.reserve(std::min(room, function.lendable()) + 1);
    while (batch.size() < room && bytes < kDeliverBytesMax) {
      Pending& next = batch.emplace_back();
      if (!take_next(function, session, kind, now, next)) {
        batch.pop_back();
        break;
      }
      bytes += next.packed_event.size();
      if (is_suspect(next)) ++session.suspects_lent;
    }
    if (batch.empty()) {
      // Only expired ones; or suspects, which another worker may take.
      if (only_suspects || function.suspects.empty()) return;
      continue;
    }
    function.rate.take(batch.size(), now.steady);
    lend(function, session, std::exchange(batch, {}), now);
  }
}

void Core::lend(FunctionState& function, Session& session, std::vector<Pending> deliveries, Now now,
                bool early) {
  CreditLine* line = function.credit_of(session.id);
  line->sent += deliveries.size();
  counters_.deliveries_dispatched += deliveries.size();
  function.measures.dispatched += deliveries.size();
  if (held_by_outbox(function)) function.outbox.lent_alone = deliveries.front().id;
  note_queue_time(function.measures.queue_time, deliveries, to_ms(now.wall));
  ++session.delivers_sent;

  std::size_t bytes = 0;
  for (const Pending& pending : deliveries) bytes += pending.packed_event.size() + 64;
  protocol::DeliverWriter message(function.name, bytes, early);
  for (Pending& pending : deliveries) {
    ++pending.dispatches;
    const auto token =
        protocol::make_token(epoch_, options_.protections.unique_tokens ? pending.dispatches : 1);
    message.add({.id = pending.id,
                 .slot = pending.slot,
                 .entry_size = pending.entry_size,
                 .lane = pending.lane,
                 .origin = pending.origin,
                 .token = token,
                 .attempt = pending.attempts + 1,
                 .accepted_ms = pending.accepted_ms,
                 .packed_ledger = pending.packed_ledger,
                 .packed_event = pending.packed_event});
    options_.tracepoint(protocol::Hop::kLent, pending.id.entry);
    function.leases.grant({std::move(pending), session.id, token, to_ms(now.wall)});
  }
  frames_.push_back({session.peer, message.take()});
  options_.failpoint("broker.delivery.lent");
}

// Keeps the windows filled: pages of the journal, and the rows of `later` whose time has come.
void Core::read_on(FunctionState& function, Now now) {
  if (phase_ == Phase::kStarting || ended_) return;
  if (!function.surveyed) return;  // who keeps which ordering key is not known
  const protocol::EntryId purged_to = function.purge ? function.purge->up_to : protocol::EntryId{};
  const auto may_read_purged = [&] {
    return function.purge && function.purge->under_way < options_.purged_at_once &&
           !function.queue.is_paging();
  };
  while (auto page =
             function.queue.next_page(function.name, now.steady, purged_to, may_read_purged())) {
    const protocol::Lane lane = page->lane;
    ++counters_.pages_read;
    call(*std::move(page), ForPage{&function, lane, function.reading});
  }
  if (function.due_backoff.rests(now.steady)) return;
  while (auto page = function.later.next_page(function.name, to_ms(now.wall))) {
    call(*page, ForDue{&function, function.reading, *page});
  }
}

// ---- synchronous invocations ----

// Invocations by functions come before those by clients: a slot waits for each, and credit that
// workers give for them must not go to others.
std::deque<Pending>::iterator Core::behind_nested(std::deque<Pending>& invocations) {
  return std::ranges::find_if(invocations, [](const Pending& one) { return one.generation == 0; });
}

void Core::on_invoke(const Peer& peer, const Session* worker, const protocol::Invoke& invoke,
                     Now now) {
  using protocol::Refusal;
  const auto no = [&](Refusal code, std::string message) {
    ++counters_.invocations_refused;
    refuse(peer, invoke.request, code, std::move(message));
  };
  if (!accepting()) return no(Refusal::kUnavailable, "the broker is starting or shutting down");
  FunctionState* function = find_function(invoke.function);
  if (!function || !function->deployed) {
    return no(Refusal::kNoSuchFunction,
              "no function is named '" + invoke.function + "'; see `fanfare functions list`");
  }
  if (function->invocations.size() >= options_.invocations_max) {
    return no(Refusal::kQueueFull, "too many invocations of this function wait already");
  }
  if (invocation_bytes_ > 0 &&
      invocation_bytes_ + invoke.packed_event.size() > options_.invocation_bytes_max) {
    return no(Refusal::kQueueFull,
              "the broker holds as many bytes of invocations as it may; try again a little later");
  }
  const auto event = protocol::view_event(invoke.packed_event);
  if (!event) return no(Refusal::kMalformed, event.error().message);
  if (event->data.size() > options_.event_bytes_max) {
    return no(Refusal::kTooLarge, "the data is larger than max_event_bytes");
  }
  if (invoke.timeout_ms == 0) return no(Refusal::kInvalid, "the timeout must be at least 1 ms");
  const auto options = protocol::unpack_options(event->packed_options);
  if (!options) return no(Refusal::kMalformed, options.error().message);
  if (options->generation != 0 && !worker) {
    return no(Refusal::kInvalid,
              "generation is for workers with a session to say; leave it out, or say Hello");
  }
  if (options->generation > protocol::kGenerationsMax) {
    return no(Refusal::kInvalid, "too many deliveries and invocations led to this one");
  }

  Pending pending;
  // The epoch makes it unlike those of former brokers, which workers may still name.
  pending.id = {{next_invocation_++, epoch_}, 0};
  pending.origin = protocol::Origin::kInvoke;
  pending.generation = options->generation;
  pending.accepted_ms = to_ms(now.wall);
  pending.packed_event = invoke.packed_event;
  invocation_bytes_ += pending.packed_event.size();
  function->callers[pending.id] = {peer, invoke.request,
                                   now.steady + std::chrono::milliseconds{invoke.timeout_ms}};
  const bool nested = pending.generation > 0;
  function->invocations.insert(
      nested ? behind_nested(function->invocations) : function->invocations.end(),
      std::move(pending));
  ++counters_.invocations;
  touch(*function);
}

// Callers whose time is up get their answer; what runs for them goes on and its result is dropped.
void Core::expire_invocations(FunctionState& function, Now now) {
  const std::size_t expired = std::erase_if(function.callers, [&](const auto& entry) {
    const auto& [id, invocation] = entry;
    if (invocation.deadline > now.steady) return false;
    ++counters_.invocations_timed_out;
    refuse(invocation.caller, invocation.request, protocol::Refusal::kTimeout,
           function.leases.contains(id) ? "the function did not finish in time"
           : function.registered.paused ? "the function is paused; `fanfare functions resume` it"
           : all_run(function)          ? "as many of it ran as its max_concurrency allows"
           : waits_for_office(function) ? "Redis did not say in time that this broker still leads"
                                        : "no worker was free in time");
    return true;
  });
  if (expired == 0) return;
  std::erase_if(function.invocations, [&](const Pending& waiting) {
    if (function.callers.contains(waiting.id)) return false;
    invocation_bytes_ -= waiting.packed_event.size();
    return true;
  });
}

}  // namespace fanfare::broker
