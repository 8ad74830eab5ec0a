// Callers that wait for a delivery to end.
#include <algorithm>

#include "broker/core.h"

namespace fanfare::broker {

void Core::on_await(const Peer& peer, const protocol::Await& await, Now now) {
  if (waiters_.size() >= options_.waits_max) {
    ++counters_.waits_refused;
    return refuse(peer, await.request, protocol::Refusal::kQueueFull,
                  "too many callers wait already; read the result from Redis a little later");
  }
  // Whoever waits for any of an event's deliveries may know already of those that have ended.
  if (!await.function.empty() && has_just_ended(await.event, await.function)) {
    return send(peer, protocol::Awaited{await.request, {await.function}, {}});
  }
  // A broker that is sure to hold no such delivery says so at once. It cannot be sure while a part
  // of the journal is unread or retries lie in `later`.
  bool may_hold = false;
  for (const auto& [name, function] : functions_) {
    if (!await.function.empty() && await.function != name) continue;
    may_hold = may_hold || function->leases.contains(await.event) ||
               function->moving.contains(await.event) || function->counts.later > 0 ||
               function->queue.has_unread() || function->announced.contains(await.event) ||
               !function->surveyed || function->queue.holds(await.event) ||
               !function->suspects.empty();
  }
  if (!may_hold) return send(peer, protocol::Awaited{await.request, {}, {}});
  waiters_.push_back({peer, await.request, await.event, await.function,
                      now.steady + std::chrono::milliseconds{await.timeout_ms}});
}

bool Core::has_just_ended(const protocol::EventId& id, const std::string& function) const {
  return std::ranges::any_of(just_ended_, [&](const Ended& ended) {
    return ended.function && ended.id == id && ended.function->name == function;
  });
}

void Core::notify_waiters(const protocol::EventId& id, const std::string& function) {
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.event != id || (!waiter.function.empty() && waiter.function != function))
      return false;
    protocol::Awaited answer{waiter.request, {function}, {}};
    for (const auto& [name, other] : functions_) {
      if (name != function && (other->leases.contains(id) || other->moving.contains(id))) {
        answer.pending.push_back(name);
      }
    }
    send(waiter.peer, answer);
    return true;
  });
}

void Core::expire_waits(Now now) {
  std::erase_if(waiters_, [&](const Waiter& waiter) {
    if (waiter.deadline > now.steady) return false;
    send(waiter.peer, protocol::Awaited{waiter.request, {}, {}});
    return true;
  });
}

}  // namespace fanfare::broker
