// Deliveries that run while the journal is being written.
//
// Waiting for the disk costs most of the time from publish to start. A worker that has room may
// begin meanwhile: it holds its commit back until the journal has the entry, and the publisher is
// acknowledged after that, as ever. If Redis refuses the entry, what ran is dropped; its publisher
// is told so, as it would be had nothing run.
//
// Only where nothing waits: whoever overtakes nobody needs no turn. What has an order, a limit or
// claims to be settled takes the other way.
#include <algorithm>

#include "broker/core.h"

namespace fanfare::broker {
namespace {

// Larger chunks are made where throughput counts, and there the disk is waited for once for many.
constexpr std::uint64_t kEarlyEventsMax = 16;

}  // namespace

bool Core::may_start_early(const FunctionState& function, const Offer& offer, Now now) const {
  const bool free = function.deployed && function.surveyed && function.trouble.empty() &&
                    !function.registered.paused && !function.purge && !function.doubtful &&
                    !held_by_outbox(function) && function.manifest.max_concurrency == 0 &&
                    function.manifest.rate_per_second == 0;
  const bool nothing_waits = function.waiting() == 0 && function.announced.empty() &&
                             !function.queue.has_unread() && !function.queue.is_paging();
  return free && nothing_waits &&
         std::ranges::all_of(offer.deliveries, [now_ms = to_ms(now.wall)](const Pending& one) {
           return !one.ordered && one.due_ms <= now_ms && one.expires_ms == 0 &&
                  one.generation == 0;
         });
}

void Core::start_early(Chunk& chunk, Now now) {
  if (!options_.start_early || phase_ != Phase::kRunning || draining_) return;
  // What the journal has just refused it may well refuse again; what is on its way comes first.
  if (append_refused_ || appends_in_flight_ > 1 || republishing_ > 0) return;
  if (chunk.events > kEarlyEventsMax || !chunk.claims.empty()) return;
  for (Offer& offer : chunk.offers) {
    FunctionState& function = *offer.function;
    if (!may_start_early(function, offer, now)) continue;
    // Of several priorities the highest goes first, which is for its queue to say.
    if (std::ranges::count(chunk.offers, &function, &Offer::function) > 1) continue;
    CreditLine* line = choose_worker(function, Next::kAny, now);
    if (!line || room_of(function, *line, Next::kAny) < offer.deliveries.size()) continue;
    Session& session = sessions_.at(line->session);
    // More than its slots would wait there, and might as well wait here.
    if (!session.hello.early || function.leases.held_by(session.id) >= session.hello.slots)
      continue;
    offer.early = true;
    for (const Pending& one : offer.deliveries) function.early.emplace(one.id, std::nullopt);
    counters_.deliveries_early += offer.deliveries.size();
    lend(function, session, offer.deliveries, now, true);
  }
}

// The journal has answered: those who run something of the chunk may commit it, or drop it.
void Core::settle_early(const Chunk& chunk, bool there, Now now) {
  std::set<SessionId> told;
  for (const Offer& offer : chunk.offers) {
    if (!offer.early) continue;
    FunctionState& function = *offer.function;
    for (const Pending& one : offer.deliveries) {
      auto came_back = function.early.extract(one.id);
      if (const Lease* lease = function.leases.find(one.id)) told.insert(lease->session);
      if (const auto cut = function.cut.find(one.id); cut != function.cut.end()) {
        told.insert(cut->second.session);
      }
      if (!there) {
        if (function.leases.contains(one.id)) function.leases.take(one.id);
      } else if (came_back && came_back.mapped()) {
        auto& [lease, worker, why, failure] = *came_back.mapped();
        take_back(function, std::move(lease), why, now, failure, worker);
      }
    }
    touch(function);
  }
  for (const SessionId id : told) {
    const auto session = sessions_.find(id);
    if (session == sessions_.end()) continue;
    protocol::Journaled message;
    (there ? message.there : message.refused).push_back(chunk.entry);
    send(session->second.peer, message);
  }
}

}  // namespace fanfare::broker
