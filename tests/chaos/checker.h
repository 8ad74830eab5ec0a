// Whether a history keeps every promise of docs/reliability.md. Pure: no I/O, no clock; set algebra
// over hash maps, linear in the history but for one sort by key.
//
// The invariants, by the names under which they are reported:
//   I1  no loss: what was acknowledged has ended, in each function that gets it, or still lies in
//       Redis (then it is I9 that is broken); a destination is told of each end
//   I2  one commit: each delivery has one result for ever (until it is redriven) and at most one
//       dead letter; its rows are written once, and only those of the attempt that counts; a
//       destination is told once; what was answered as cancelled is cancelled
//   I3  no phantom: whatever ended had been sent, and under the id that was acknowledged
//   I4  a publication whose outcome is unknown is there once or not at all; a refused one is not
//   I5  executions are accounted for: a repetition has a cause, failures stay within the budget,
//       nothing runs before its time
//   I6  order: one key's deliveries run one at a time and commit in the order of their publication
//   I7  fencing: nothing is stored by an attempt older than one that had moved the delivery on
//   I8  conservation: accepted = open + later + succeeded + dead + expired + cancelled, at any step
//   I9  liveness: after the last fault all comes to rest, and within the bounds of time
//   I10 resources stay within their bounds, and processes hold at the end what they held before
//   I11 status is monotone: what has ended never waits or runs again; the runs of one attempt token
//       do not overlap, and none begins kCancelTakesNs after the answer that it is cancelled
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/chaos/history.h"

namespace fanfare::chaos {

enum class Invariant : std::uint8_t {
  kNoLoss = 1,
  kOneCommit,
  kNoPhantom,
  kUnknownOnce,
  kAccounted,
  kOrder,
  kFencing,
  kConservation,
  kLiveness,
  kResources,
  kMonotone,
};
std::string_view name_of(Invariant invariant);  // "I1 no loss"

// Until everybody has heard of a cancellation: a worker that had the delivery may be on its way
// back to a broker that has just begun.
inline constexpr std::int64_t kCancelTakesNs = 1'500'000'000;

struct Violation {
  Invariant invariant;
  std::string text;
};

struct Verdict {
  // All of them are counted; the texts of the first few of each invariant are kept.
  std::vector<Violation> violations;
  std::array<std::size_t, 12> count{};  // by invariant

  // What was looked at: a run that saw nothing proves nothing.
  std::size_t sent = 0, acknowledged = 0, unknown = 0, refused = 0;
  std::size_t executions = 0, repeated = 0, committed = 0, letters = 0, steps = 0;
  std::size_t told = 0, rows = 0, cancels = 0;
  std::size_t tokens = 0;  // executions whose attempt token is known
  std::size_t lost = 0;    // acknowledged, and neither ended nor there any more

  bool broken(Invariant invariant) const { return count[static_cast<std::size_t>(invariant)] > 0; }
  bool kept_all() const { return violations.empty(); }
};

Verdict check(const History& history);

// What a process keeps, of descriptors, threads and children; empty: it holds no more than before,
// but for instances that wait for work. (Memory is judged by check(), which knows how much there
// was to do.)
std::string_view not_given_back(const Held& held);

// One paragraph for people: figures, then violations.
std::string describe(const Verdict& verdict);

}  // namespace fanfare::chaos
