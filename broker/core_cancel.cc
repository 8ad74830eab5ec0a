// Operators end deliveries: one event's, wherever each is.
//
// What this broker holds is ended at once: buried as `cancelled`, which leaves no letter. What runs
// is buried likewise, without waiting for its worker, which is told to drop it; a result that it
// commits all the same is refused by the state in Redis, or has come first and counts. What is
// moving is ended as soon as Redis has answered the move. For everything else Redis is asked.
//
// A cut attempt counts as running until its worker reports it or is lost, so that max_concurrency
// holds meanwhile; a worker that names it in a Hello is told again.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "broker/core_admin.h"
#include "broker/event_times.h"

namespace fanfare::broker {
namespace {

using nlohmann::json;
using protocol::DeadReason;
using protocol::Origin;
using protocol::Refusal;

std::uint32_t us_between(std::int64_t from_ms, std::int64_t to_ms) {
  const std::int64_t us = std::max<std::int64_t>(0, to_ms - from_ms) * 1000;
  return static_cast<std::uint32_t>(
      std::min<std::int64_t>(us, std::numeric_limits<std::uint32_t>::max()));
}

}  // namespace

void Core::cancel(const AdminCall& admin) {
  const auto id = protocol::parse_event_id(admin.text("id"));
  if (!id) {
    return refuse_admin(admin, Refusal::kInvalid, "cancel needs an event's id: {\"id\": …}");
  }
  const std::string name = admin.text("function");
  if (!name.empty() && !find_function(name)) {
    return refuse_admin(admin, Refusal::kNoSuchFunction,
                        fmt::format("no function is named '{}'", name));
  }
  if (cancellations_.size() >= options_.cancellations_max) {
    return refuse_admin(admin, Refusal::kQueueFull,
                        "too many cancellations are under way; try again");
  }
  const CancellationId number{next_cancellation_++};
  Cancellation& one = cancellations_[number];
  one.admin = {admin.peer, admin.request, name};
  one.event = *id;
  for (const auto& [function_name, function] : functions_) {
    if (!name.empty() && function_name != name) continue;
    auto& fate = one.fates[function_name];
    if (auto held = cancel_held(*function, *id, admin.now)) {
      fate.result = *std::move(held);
    } else {
      call(store::Find{function_name, *id}, ForFind{function.get(), number});
    }
  }
  answer_if_certain(number);
}

// Ends it if this broker has it: what it will be answered as, unless it has ended before.
std::optional<std::string> Core::cancel_held(FunctionState& function, const protocol::EventId& id,
                                             Now now) {
  if (function.early.contains(id)) return std::nullopt;  // not accepted yet
  if (const Lease* const lease = function.leases.find(id)) {
    if (lease->delivery.origin == Origin::kInvoke) return std::nullopt;
    cut_off(function, function.leases.take(id), now);
    return "running_killed";
  }
  if (function.moving.contains(id)) {
    function.unwanted.emplace(id, DeadReason::kCancelled);
    return "cancelled";
  }
  if (auto waiting = take_waiting(function, id)) {
    end_cancelled(function, *std::move(waiting), own_token(), DeadReason::kCancelled, now);
    return "cancelled";
  }
  return std::nullopt;
}

std::optional<Pending> Core::take_waiting(FunctionState& function, const protocol::EventId& id) {
  if (auto waiting = function.queue.take_by_id(id)) return waiting;
  const auto suspect = std::ranges::find(function.suspects, id, &Pending::id);
  if (suspect == function.suspects.end()) return std::nullopt;
  Pending delivery = std::move(*suspect);
  function.suspects.erase(suspect);
  return delivery;
}

void Core::cut_off(FunctionState& function, Lease lease, Now now) {
  ++counters_.attempts_cancelled;
  Pending delivery = std::move(lease.delivery);
  protocol::AttemptRow row;
  row.number = delivery.attempts + 1;
  row.outcome = protocol::Outcome::kCancelled;
  row.started_ms = lease.lent_ms;
  row.duration_us = us_between(lease.lent_ms, to_ms(now.wall));
  if (const auto at = sessions_.find(lease.session); at != sessions_.end()) {
    Session& session = at->second;
    row.worker = session.hello.name;
    if (is_suspect(delivery) && session.suspects_lent > 0) --session.suspects_lent;
    const auto& cut = function.cut[delivery.id] = {lease.session, lease.token};
    tell_to_drop(function, delivery.id, cut);
  }
  if (!options_.protections.end_before_cutting) {
    return tell_cancellations(function, delivery.id, "cancelled");
  }
  protocol::append_row(delivery.packed_ledger, row);
  end_cancelled(function, std::move(delivery), lease.token, DeadReason::kCancelled, now);
}

void Core::tell_to_drop(const FunctionState& function, const protocol::EventId& id,
                        const Cut& cut) {
  const Session& session = sessions_.at(cut.session);
  if (!session.hello.state) return;  // an older build: it runs to its end, for nothing
  send(session.peer, protocol::Cancel{{{function.name, id, cut.token}}});
}

void Core::end_cancelled(FunctionState& function, Pending delivery, protocol::AttemptToken token,
                         DeadReason reason, Now now) {
  const bool purged = reason == DeadReason::kPurged;
  protocol::ResultRecord record;
  record.status = protocol::Status::kCancelled;
  record.error_type = "Cancelled";
  record.error_message = purged ? "its queue was purged" : "ended by an operator";
  record.ledger = delivery.packed_ledger;
  record.accepted_ms = delivery.accepted_ms;
  record.ended_ms = to_ms(now.wall);
  record.memory_limit_mb = static_cast<std::uint32_t>(function.manifest.memory_bytes >> 20);
  record.reason = reason;
  if (purged && function.purge) ++function.purge->under_way;
  // Until Redis has ended it, its key's later ones wait: should this broker die now, it may run.
  if (delivery.ordered) function.queue.keys().hold(delivery.flow, delivery.id);
  end_as(function, std::move(delivery), token, std::move(record), now);
}

void Core::cancel_after_move(FunctionState& function, Pending delivery, DeadReason reason,
                             Now now) {
  delivery.origin = Origin::kLater;
  end_cancelled(function, std::move(delivery), own_token(), reason, now);
}

void Core::on_found(ForFind& purpose, Result<store::Answer>& answer, Now now) {
  const auto at = cancellations_.find(purpose.cancellation);
  if (at == cancellations_.end()) return;
  Cancellation& one = at->second;
  auto& fate = one.fates[purpose.function->name];
  auto* const found = answer ? std::get_if<store::Found>(&*answer) : nullptr;
  if (!found) {
    one.failure = answer ? "Redis answered something else" : answer.error().message;
    fate.certain = true;
  } else if (auto held = cancel_held(*purpose.function, one.event, now)) {
    fate.result = *std::move(held);  // it has come here meanwhile
  } else {
    fate.result = cancel_found(*purpose.function, one.event, *found, now);
    fate.certain = !purpose.function->moving.contains(one.event);
  }
  answer_if_certain(purpose.cancellation);
}

// Ends what lies in Redis and is not here: far back in its queue, not due, or in the hands of a
// worker that named it before it was read.
std::string Core::cancel_found(FunctionState& function, const protocol::EventId& id,
                               store::Found& found, Now now) {
  using enum store::Found::Place;
  Pending delivery;
  switch (found.place) {
    case kNowhere:
      return "not_found";
    case kEnded:
      return fmt::format("already_{}", found.status ? to_string(*found.status) : "ended");
    case kLater:
      delivery = pending_of(std::move(found.row));
      break;
    case kJournal:
      delivery.id = id;
      delivery.slot = found.slot;
      delivery.entry_size = found.entry_size;
      delivery.lane = found.lane;
      delivery.accepted_ms = static_cast<std::int64_t>(id.entry.ms);
      delivery.packed_event = std::move(found.packed_event);
      if (const auto options = options_of(delivery.packed_event)) {
        const Place place = place_of(*options);
        delivery.flow = place.flow;
        delivery.ordered = place.ordered;
      }
      break;
  }
  const auto announced = function.announced.find(id);
  if (announced == function.announced.end()) {
    end_cancelled(function, std::move(delivery), own_token(), DeadReason::kCancelled, now);
    return "cancelled";
  }
  const auto [session, token] = announced->second;
  function.announced.erase(announced);
  cut_off(function, {std::move(delivery), session, token, to_ms(now.wall)}, now);
  return "running_killed";
}

void Core::tell_cancellations(const FunctionState& function, const protocol::EventId& id,
                              std::string_view ended_as) {
  if (cancellations_.empty()) return;
  std::vector<CancellationId> told;
  for (auto& [number, one] : cancellations_) {
    const auto fate = one.fates.find(function.name);
    if (one.event != id || fate == one.fates.end() || fate->second.result.empty()) continue;
    if (ended_as != "cancelled") fate->second.result = fmt::format("already_{}", ended_as);
    fate->second.certain = true;
    told.push_back(number);
  }
  for (const CancellationId number : told) answer_if_certain(number);
}

void Core::answer_if_certain(CancellationId number) {
  const auto at = cancellations_.find(number);
  const Cancellation& one = at->second;
  if (!std::ranges::all_of(one.fates, [](const auto& fate) { return fate.second.certain; })) return;
  if (!one.failure.empty()) {
    refuse_admin(one.admin.peer, one.admin.request, Refusal::kUnavailable, one.failure);
  } else {
    json deliveries = json::array();
    for (const auto& [name, fate] : one.fates) {
      if (one.admin.function.empty() && fate.result == "not_found") continue;
      deliveries.push_back({{"function", name}, {"result", fate.result}});
    }
    send(one.admin.peer,
         protocol::AdminReply{
             one.admin.request,
             json{{"id", protocol::to_string(one.event)}, {"deliveries", deliveries}}.dump()});
  }
  cancellations_.erase(at);
}

}  // namespace fanfare::broker
