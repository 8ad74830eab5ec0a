// Everything the broker knows of one function: its manifest, what waits, what is lent to workers.
//
// Plain data for the broker's core, without behaviour beyond what keeps it consistent.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "broker/backoff.h"
#include "broker/delivery_queue.h"
#include "broker/later_window.h"
#include "broker/lease_table.h"
#include "broker/measures.h"
#include "broker/outbox_state.h"
#include "broker/rate_limit.h"
#include "broker/rate_meter.h"
#include "protocol/manifest.h"
#include "store/calls.h"

namespace fanfare::broker {

using Peer = std::string;  // ZeroMQ's routing id of a connection, opaque bytes

// A synchronous invocation that waits or runs. Its delivery's id is (number, 0).0.
struct Invocation {
  Peer caller;
  std::uint64_t request = 0;
  TimePoint deadline;
};

// What a worker may still be sent of one function.
struct CreditLine {
  SessionId session;
  std::uint64_t total = 0;  // as the worker last said
  std::uint64_t sent = 0;
  bool warm = false;  // it has an idle instance
  // It has handed something back: it drains, or has not heard of the function. Its credit may be
  // large, and whatever it is sent comes back at once.
  TimePoint rests_until;
  bool withdrawn = false;  // its worker is quiet, or to be: it is sent nothing
  std::uint64_t available() const { return total > sent && !withdrawn ? total - sent : 0; }
};

// An attempt whose delivery was cancelled while it ran, until its worker lets go of it.
struct Cut {
  SessionId session;
  protocol::AttemptToken token;
};

// An operator empties the queue, see core_purge.cc. Lives in this broker only.
struct Purge {
  std::uint64_t number = 0;                      // names it to those who ask how far it is
  protocol::EntryId up_to;                       // what was accepted later is not touched
  std::unordered_set<protocol::EventId> spared;  // what workers had when it began
  // Reading `later` from its beginning, whatever is due.
  std::int64_t cursor_ms = 0;
  std::optional<protocol::EventId> cursor_id;
  bool reading = false, rows_read = false;
  std::size_t under_way = 0;  // not answered yet
  std::uint64_t cancelled = 0;

  void read_again_from(std::int64_t due_ms) {
    rows_read = false;
    if (due_ms > cursor_ms) return;
    cursor_ms = due_ms;
    cursor_id.reset();
  }
};

// What happens here while a survey is under way, which Redis may have counted or not.
struct Survey {
  std::uint64_t number = 0;  // answers to earlier ones are void
  // How many were in this broker's hands when it was asked for, at most, by where they lie in
  // Redis.
  std::int64_t held_open = 0, held_later = 0;
  // Successes that were reported since.
  std::int64_t ended_open = 0, ended_later = 0;
  std::unordered_set<protocol::EventId> ended;  // with them all other ends, of ordering keys

  bool begun = false;  // its first answer has come, and said:
  std::optional<std::int64_t> next_due_ms;
  bool read_anew = false;
  bool all_holders = true;  // whoever keeps an ordering key is asked for to the last
  // Those that were parked then and have not been named.
  std::unordered_set<protocol::EventId> unnamed;
};

struct FunctionState {
  FunctionState(std::string function_name, WindowLimits limits, WindowShare shared,
                LaterLimits later_limits)
      : name(std::move(function_name)), queue(limits, std::move(shared)), later(later_limits) {}

  std::string name;
  store::Registered registered;
  protocol::Manifest manifest;
  bool deployed = false;  // false after remove: its queue stays, nothing new arrives
  bool local = false;     // workers may run invocations of it by themselves
  bool surveyed = false;  // what the journal holds has been read
  // Why it cannot be read, as of the latest survey: takes no events and is surveyed again and again
  // until a person has mended it, while other functions go on. Empty: it can.
  std::string trouble;
  bool surveying = false;        // a survey is under way, or to be repeated
  std::optional<Survey> survey;  // under way
  Backoff survey_backoff = kMendingBackoff;
  Backoff due_backoff = kReadingBackoff;  // of pages of `later`
  store::Surveyed::Counts counts;         // as far as this broker has heard
  RateMeter meter;                        // of them
  FunctionMeasures measures;
  TimePoint recount_at;  // not before, while something is open

  OutboxState outbox;
  RateLimit rate;
  DeliveryQueue queue;
  std::uint32_t reading = 0;  // raised when reading begins anew: answers to earlier pages are void
  bool doubtful = false;      // the journal is to be read anew before anything is lent
  // The journal is being read from its beginning once more.
  bool reading_again = false;
  // Dropped, to be read again: what is known of their attempts.
  std::unordered_map<protocol::EventId, Pending> lent_before;
  std::unordered_set<protocol::EventId> ended_while_paging;  // pages under way may still have them
  std::deque<Pending> invocations;  // origin kInvoke, first come first served
  std::deque<Pending> suspects;     // see is_suspect: lent to a worker one at a time
  LeaseTable leases;
  // Lent before the journal has answered; what came back before it did waits here.
  struct CameBack {
    Lease lease;
    std::string worker;  // its name
    protocol::Outcome why;
    protocol::Failure failure;
  };
  std::unordered_map<protocol::EventId, std::optional<CameBack>> early;
  std::unordered_map<protocol::EventId, Invocation> callers;
  std::vector<CreditLine> credit;

  // Deliveries on their way to `later` or to the dead letters: the call is under way.
  std::unordered_map<protocol::EventId, Pending> moving;

  // Those of `moving` that an operator ended meanwhile, and why: cancelled as soon as Redis has
  // answered the move.
  std::unordered_map<protocol::EventId, protocol::DeadReason> unwanted;
  std::unordered_map<protocol::EventId, Cut> cut;
  std::optional<Purge> purge;
  std::uint64_t last_purge = 0, last_purged = 0;  // number, and how many it ended

  // Letters on their way back, of the one Redrive that may be under way; so each counts once.
  std::uint64_t redriving = 0;

  LaterWindow later;

  // Named by a worker's Hello before this broker had read them: lent to it as soon as they appear.
  std::unordered_map<protocol::EventId, std::pair<SessionId, protocol::AttemptToken>> announced;
  TimePoint announced_at;  // when the latest of them was named

  // A start need not wait for it any longer.
  bool looked_at() const { return surveyed || !trouble.empty(); }

  // Accepted and not ended; never below zero, whatever the counts missed.
  std::uint64_t unfinished() const {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, counts.open + counts.later));
  }
  // With those that are not in `counts` yet because Redis has not answered their append.
  std::uint64_t arriving = 0;
  std::uint64_t taken() const { return unfinished() + arriving + redriving; }
  // Entries of outboxes that were seen waiting for room here: that room is theirs, not publishers'.
  std::uint64_t owed = 0;
  // What workers have, as far as they have said; what was announced or cut ends with a report, too.
  std::size_t running() const { return leases.size() + announced.size() + cut.size(); }
  std::size_t waiting() const { return queue.size() + invocations.size() + suspects.size(); }
  // Of them, those that may go as far as this function is concerned.
  std::size_t lendable() const { return queue.ready() + invocations.size() + suspects.size(); }
  CreditLine* credit_of(SessionId session);
};

inline CreditLine* FunctionState::credit_of(SessionId session) {
  for (CreditLine& line : credit) {
    if (line.session == session) return &line;
  }
  return nullptr;
}

}  // namespace fanfare::broker
