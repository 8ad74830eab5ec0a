// Redis has no memory left: nothing new is taken, and what is there still drains.
#include <chrono>

#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_redis_full(const Run& run) {
  RigOptions options;
  options.slots = 1;
  if (run.without()) options.sabotage = kNoCommitWhenFull;
  Rig rig(options);
  // More than one slot can run: a queue grows.
  rig.publish({.rate = 800,
               .seconds = run.lengthy ? 6.0 : 1.5,
               .seed = run.seed,
               .mix = {{"sleep 2", 8}, {"fail 1", 1}, {"never", 1}}});
  rig.run_until([&] { return rig.counts().open > 300; }, 5s);
  Outcome outcome;
  rig.note_fault("Redis full", Rig::now_ns());
  rig.redis().command({"CONFIG", "SET", "maxmemory", "1mb"});
  const std::int64_t before = rig.counts().open;
  if (before > 0) ++outcome.times;
  // It drains though it is full, and publishers are told.
  rig.run_while_it_moves(
      [&] {
        const Counts now = rig.counts();
        return now.open == 0 && now.later == 0;
      },
      30s);
  const Counts left = rig.counts();
  rig.redis().command({"CONFIG", "SET", "maxmemory", "0"});
  rig.publish({.rate = 500, .seconds = 0.5, .seed = run.seed + 1});
  rig.come_to_rest(30s);
  outcome.history = rig.collect();
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "deliveries that a full Redis kept from ending",
                                    .value = static_cast<double>(left.open + left.later),
                                    .at_most = 0});
  std::size_t refused = 0;
  for (const Submission& one : outcome.history.submissions) {
    if (one.fate == Submission::Fate::kRefused) ++refused;
  }
  outcome.figures = {{"deliveries open when Redis was full", static_cast<double>(before)},
                     {"publications refused", static_cast<double>(refused)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario redis_full() {
  return {.number = 14,
          .name = "Redis full",
          .injected = "maxmemory below what is used, with a queue; later raised",
          .without = "commits that a full Redis takes",
          .bites = {Invariant::kLiveness},
          .run = run_redis_full};
}

}  // namespace fanfare::chaos
