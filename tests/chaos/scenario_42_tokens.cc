// An attempt goes on where nobody hears of it any more, and its delivery is lent to another worker
// meanwhile: both run. That is allowed, but not under one token: by it Redis knows them apart.
#include <chrono>

#include "tests/chaos/link_proxy.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// What the other worker has begun while the first had not ended it.
std::size_t beside_each_other(const History& history) {
  std::size_t count = 0;
  for (const Execution& one : history.executions) {
    for (const Execution& other : history.executions) {
      if (one.id == other.id && one.began_ns < other.began_ns && other.began_ns < one.ended_ns) {
        ++count;
      }
    }
  }
  return count;
}

Outcome run_tokens(const Run& run) {
  RigOptions options;
  options.workers = 2;
  options.slots = 4;
  options.proxy_broker = true;
  options.broker = {{"FANFARE_BROKER_HEARTBEAT", "100ms"}, {"FANFARE_BROKER_LEASE", "600ms"}};
  if (run.without()) options.broker_without = "unique_tokens";
  Rig rig(options);
  Outcome outcome;
  const int rounds = run.lengthy ? 20 : 1;
  for (int round = 0; round < rounds; ++round) {
    const std::size_t before = rig.executions().size();
    rig.publish({.rate = 100, .seconds = 0.04, .seed = run.seed, .mix = {{"sleep 4500", 1}}});
    rig.run_until([&] { return rig.executions().size() >= before + 4; }, 5s);
    // Both are cut off, one after the other is heard again: what either had goes to the other.
    const std::int64_t from = Rig::now_ns();
    rig.broker_link(0).half_open(true);
    rig.run_until([&] { return rig.executions().size() >= before + 5; }, 3500ms);
    rig.broker_link(0).half_open(false);
    rig.broker_link(1).half_open(true);
    rig.run_until([&] { return rig.executions().size() >= before + 8; }, 3500ms);
    rig.broker_link(1).half_open(false);
    rig.note_fault("links silent", from);
    rig.come_to_rest(30s);
  }
  outcome.history = rig.collect();
  outcome.times = beside_each_other(outcome.history);
  outcome.figures = {
      {"runs that began beside another of their delivery", static_cast<double>(outcome.times)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario tokens() {
  return {.number = 42,
          .name = "attempts beside each other",
          .injected =
              "a worker's link to the broker is silent beyond the lease while its attempts "
              "go on; others run the same deliveries",
          .without = "a token for each attempt",
          .bites = {Invariant::kMonotone},
          .run = run_tokens};
}

}  // namespace fanfare::chaos
