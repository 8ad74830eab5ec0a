// What a run of real processes has left behind, as plain values: the only thing the checker sees.
//
// Three independent witnesses: the clients (what they sent and were told), the function (each of
// its executions, written by itself), and Redis (what lies there at the end, and in its append-only
// file every change on the way). None of them is Fanfare's own bookkeeping.
//
// Times are CLOCK_MONOTONIC nanoseconds of this machine; 0 is "never".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "protocol/ids.h"
#include "protocol/record.h"

namespace fanfare::chaos {

// Names a publication; the client makes it up and the event carries it, so whatever is found
// anywhere can be traced back to it. 0 is none. Publications of one deduplication key carry the
// same event, and so the same tag.
using Tag = std::uint64_t;

struct Submission {
  enum class Fate : std::uint8_t {
    kPending,    // never answered: the client was killed, or the run ended too early
    kAccepted,   // acknowledged
    kDuplicate,  // acknowledged as one that was known already
    kRefused,    // for certain not taken
    kUnknown,    // no answer in time: taken once, or not at all
  };
  Tag tag = 0;
  Fate fate = Fate::kPending;
  std::int64_t invoked_ns = 0, answered_ns = 0;
  std::int64_t not_before_ns = 0;  // it asked not to be run earlier
  protocol::EventId id;            // of an acknowledged one
  std::uint32_t functions = 0;     // that get it, as acknowledged
  std::string ordering_key;        // empty: none
  std::uint64_t position = 0;      // among those of its ordering key, from 1
  std::string deduplication_key;   // same key, same event; empty: none
};

// One run of the function for one delivery, as the function wrote it down.
struct Execution {
  protocol::EventId id;
  Tag tag = 0;
  std::uint32_t attempt = 0;
  std::int32_t instance = 0, worker = 0;  // process ids
  std::uint64_t nonce = 0;                // names this execution
  protocol::AttemptToken token;           // as its worker has written down; 0: it has not
  std::int64_t began_ns = 0, ended_ns = 0;
  bool failed = false;  // it ended by failing on purpose
};

struct Counts {
  std::int64_t accepted = 0, open = 0, later = 0, succeeded = 0, dead = 0, expired = 0,
               cancelled = 0;
  std::int64_t sum() const { return open + later + succeeded + dead + expired + cancelled; }
  friend bool operator==(const Counts&, const Counts&) = default;
};

// One change of what Redis holds, in the order in which Redis made them. All changes of one step
// were made at once.
struct Change {
  enum class Kind : std::uint8_t {
    kAppended,   // into a journal
    kPostponed,  // into `later`
    kStored,     // a result
    kLetter,     // a dead letter
    kRedriven,   // a dead letter has become a delivery again, in `later`
    kPurged,     // a dead letter is gone, and its delivery has not moved
  };
  Kind kind = Kind::kAppended;
  std::uint64_t step = 0;
  std::string function;
  protocol::EventId id;
  Tag tag = 0;                    // kAppended, kLetter; kStored of a success
  std::uint64_t nonce = 0;        // kStored of a success: the execution whose output it is
  protocol::EventId about;        // kAppended: the event of the function that caused it, if any
  bool failure = false;           // kAppended with `about`: it tells of a failure
  protocol::AttemptToken token;   // kPostponed, kRedriven, kStored; without the broker's own bit
  protocol::Status status{};      // kStored
  std::uint64_t fingerprint = 0;  // kStored: of all its bytes
};

// The counts of a function at one instant, read or replayed in one step.
struct CountsSeen {
  std::string function;
  std::uint64_t step = 0;
  Counts counts;
};

// What lies in Redis when everything has come to rest: of each delivery.
struct Ended {
  std::string function;
  protocol::EventId id;
  bool has_result = false;
  protocol::Status status{};
  Tag tag = 0;
  std::uint64_t nonce = 0;
  std::uint64_t fingerprint = 0;
  std::size_t letters = 0;
  std::vector<protocol::AttemptRow> attempts;  // as its result tells them
};

// A delivery that has not ended and lies in Redis: open in a journal, or in `later`.
struct Unfinished {
  std::string function;
  protocol::EventId id;
};

// What the rig did to the system. Whoever may have lost work by it is named by its process id; 0 is
// anybody.
struct Fault {
  std::string what;
  std::int32_t pid = 0;
  std::int64_t from_ns = 0, to_ns = 0;
};

// An operator was answered that a delivery is cancelled.
struct Cancel {
  protocol::EventId id;
  std::int64_t answered_ns = 0;
};

// A figure that has a bound: how long something took, how much something grew.
struct Bounded {
  enum class Of : std::uint8_t { kTime, kResource };
  Of of = Of::kTime;
  std::string what;
  double value = 0, at_most = 0;
};

// What a process holds, as the kernel tells it.
struct Holding {
  std::int64_t kib = 0;  // memory: what is resident, without pages of files
  std::int64_t descriptors = 0, threads = 0;
  std::int64_t children = 0;  // a worker holds a few descriptors for each
};

// One process that was there at the end: what it held before the load, after a few events that
// brought what comes once (of one that was started later: soon after its start, but no less memory,
// descriptors and threads than the first one of its name), and what it held when all had come to
// rest.
struct Held {
  std::string process;
  std::int64_t clients = 0;  // of a broker: publishers at one time, at most; see the rig
  Holding before, after;
};

struct History {
  std::vector<Submission> submissions;
  std::vector<Execution> executions;
  std::vector<Change> changes;  // ascending steps; empty if Redis kept no append-only file
  std::vector<CountsSeen> counts;
  std::vector<Ended> ended;
  std::vector<Unfinished> unfinished;  // at the same time
  std::vector<Counts> at_rest;  // of each function, after the last fault; one atomic read each
  std::vector<Fault> faults;
  std::vector<Bounded> bounds;
  std::vector<Held> held;
  std::int64_t kib_of_events = 0;  // that a process may keep beyond the usual: of very large ones
  std::vector<Cancel> cancels;
  std::string destination;  // the function that is told how deliveries of the others end, if any
  // What lies in the function's store, if each of its attempts writes there: see rows_of() in
  // checker.cc.
  std::map<std::string, std::string> rows;
  bool writes_rows = false;
  bool results_kept = true;        // else what has run to its end has ended
  bool came_to_rest = true;        // within the scenario's time
  std::uint32_t attempts_max = 0;  // failures that a delivery may have; 0 = not looked at
  // How much before its time a delayed event may run, and how much later at most; 0 = not looked
  // at.
  std::int64_t early_max_ns = 0, late_max_ns = 0;
  // Executions are few and far from each other's faults: each repetition must have its cause.
  bool causes_known = true;
};

}  // namespace fanfare::chaos
