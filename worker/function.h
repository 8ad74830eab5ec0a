// Everything the worker knows of one function: its zygote, its instances, what waits for them.
//
// Plain data for the worker's core, without behaviour.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "protocol/manifest.h"
#include "protocol/messages.h"
#include "store/usage.h"
#include "worker/effects.h"
#include "worker/ending.h"
#include "worker/held.h"
#include "worker/idle_times.h"
#include "worker/measures.h"

namespace fanfare::worker {

// What was handed to an instance in one go.
struct Batch {
  std::uint64_t number = 0;
  std::vector<Held*> items;
  std::size_t taken = 0;  // results that arrived
  bool together = false;  // one call of the function for all items
  bool open() const { return taken < items.size(); }
};

struct Instance {
  InstanceId id;
  Function* function = nullptr;
  std::uint64_t generation = 0;
  ZygoteId zygote;
  std::int32_t pid = 0;  // 0 until forked
  TimePoint asked_at;
  TimePoint in_slot_since;  // when it was asked for, until it has started
  TimePoint idle_since;
  std::uint64_t uses = 0;
  std::array<Batch, 2> batches;  // the older one first
  std::size_t unfinished = 0;    // deliveries in it
  bool started = false;          // forked
  bool retiring = false;         // takes nothing more and is ended once it is idle
  bool full = false;             // its socket took no more; try after its next results
  bool gone = false;             // its socket is closed: the end is on its way
  bool recalled = false;         // it is at something long, and gets nothing before that is done
  bool waits = false;            // for a function that it has invoked: its slot is lent
  bool borrowed = false;         // it has no slot of its own but one that was lent
  bool express = false;          // it has no slot but the express place
  bool told_to_end = false;      // SIGTERM went out
  StopReason stop = StopReason::kNone;
  Held* late = nullptr;  // the item that was over its time, or cancelled, when SIGTERM went out
  std::size_t cancelled = 0;          // deliveries in it that were cancelled
  std::optional<TimePoint> check_at;  // the running item may be over its time
  // What the broker was told of the running item, for news to be known.
  struct Told {
    std::uint64_t batch = 0;
    std::uint32_t item = 0;
    Progress progress;
    bool operator==(const Told&) const = default;
  };
  std::optional<Told> told;
  std::optional<TimePoint> kill_at;  // SIGKILL

  bool idle() const { return unfinished == 0; }
  // Its idle time began with the end of a use: its own, or that of the one that it was made for.
  bool followed_a_use() const { return uses > 0 || idle_since < asked_at; }
};

struct Function {
  protocol::FunctionSpec spec;
  protocol::Manifest manifest;
  std::string refusal;  // why the manifest cannot be used; empty = it can
  bool removed = false;

  // ---- zygote ----
  enum class ZygoteState : std::uint8_t { kNone, kPreparing, kStarted, kReady };
  ZygoteState zygote_state = ZygoteState::kNone;
  ZygoteId zygote;
  TimePoint zygote_asked_at;
  // A generation that is about to be deployed, see core_prepare.cc. Nothing is forked from it yet.
  struct Candidate {
    protocol::FunctionSpec spec;
    std::uint64_t number = 0;  // of Prepare
    protocol::Manifest manifest;
    ZygoteId zygote;
    ZygoteState state = ZygoteState::kNone;
    TimePoint until;  // its init may take so long; once it is ready: it is kept so long
  };
  std::optional<Candidate> candidate;
  std::uint32_t failures_in_row = 0;      // zygotes and instances that never came up
  std::optional<TimePoint> paused_until;  // no zygote and no instance before
  bool broken = false;                    // deliveries end with last_failure meanwhile
  bool no_room = false;                   // it is the machine that gives no process
  protocol::Failure last_failure;
  std::string last_failure_log;

  // ---- deliveries ----
  std::deque<Held*> queue;       // in the order of their turns
  bool several_tenants = false;  // or priorities, or ordering keys: some delivery had one
  std::unordered_map<std::uint64_t, std::uint64_t> turns;  // by tenant: the last one that it got
  std::uint64_t turn = 0;                                  // handed out last
  std::size_t in_instances = 0;
  std::unordered_map<EntryKey, Entry*, EntryKeyHash> entries;  // those of several deliveries
  std::vector<Entry*> done_entries;  // with something to commit, the oldest first
  std::size_t uncommitted = 0;       // deliveries in done_entries
  std::size_t set_aside = 0;         // results that Redis refuses, each tried again by itself
  std::size_t set_aside_bytes = 0;   // of these

  // ---- instances ----
  std::vector<Instance*> instances;  // all that are not dead
  std::vector<Instance*> idle;       // the warmest last; starting ones count as busy
  std::vector<Instance*> spare;      // idle ones in borrowed slots, the warmest last
  Instance* room = nullptr;          // of another function, ends to free a slot for this one
  bool owed_a_slot = false;          // it has ended; until the fork
  IdleTimes idle_times;
  // All have been ended, for none is expected to be needed before: then one is made, which counts
  // as idle since `idle_before`.
  std::optional<TimePoint> back_at;
  TimePoint idle_before;

  // ---- measured ----
  double used_ns = 0;              // of slots, divided by its weight; for comparison only
  double service_ns = 0;           // time per item, moving average; 0 = unknown
  bool service_is_former = false;  // it is that of the former generation, until this one has run
  double start_cost_ns = 300e3;    // of a fork
  double event_bytes = 256;        // moving average

  // ---- credit of this session ----
  std::uint64_t received = 0;
  std::uint64_t credit_total = 0;
  // Beside the usual, for what instances here have invoked: to be given; and given, not used by a
  // nested invocation so far.
  std::size_t credit_promised = 0, credit_beside = 0;
  bool told_warm = false;
  bool told_credit = false;

  // ---- invocations that this worker runs by itself ----
  bool local = false;  // the broker lets it
  std::uint32_t local_here = 0;
  std::uint64_t local_ended = 0, local_timed_out = 0;  // since the last heartbeat

  FunctionMeasures measures;
  store::Usage usage;  // of attempts without a tenant, in the hour that is metered now

  bool touched = false;  // queued for the turn's scheduling

  // Takes many deliveries in one call.
  bool gathers() const { return manifest.batch_size > 1; }
  bool usable() const { return !removed && refusal.empty(); }
  std::size_t outstanding() const { return queue.size() + in_instances; }
};

}  // namespace fanfare::worker
