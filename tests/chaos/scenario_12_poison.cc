// Some events kill whatever runs them, each time, among a great many that are harmless.
#include <chrono>

#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/switches.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_poison(const Run& run) {
  RigOptions options;
  // An instance may die before its worker knows its number: not to be buried as a stranger then.
  options.worker.emplace_back(kHousekeepingVariable, "1");
  if (run.without()) options.sabotage = kNoBudget;
  Rig rig(options);
  const double seconds = run.lengthy ? 20 : 2;
  Load load{.rate = 1000,
            .seconds = seconds,
            .seed = run.seed,
            .mix = {{"ok", 990}, {"crash 1000", 5}, {"exit 1000", 5}}};
  const auto started = std::chrono::steady_clock::now();
  const std::int64_t begun_ns = Rig::now_ns();
  rig.publish(load);
  // Without a budget it would never come to rest.
  rig.come_to_rest(run.without() ? 4s : 40s);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  Outcome outcome;
  outcome.history = rig.collect();
  for (const Execution& one : outcome.history.executions) outcome.times += one.failed ? 1 : 0;
  // What poison may cost its neighbours: they were processed about as fast as they came.
  std::int64_t last_ns = begun_ns;
  for (const Execution& one : outcome.history.executions) {
    if (!one.failed) last_ns = std::max(last_ns, one.ended_ns);
  }
  const double harmless_s = static_cast<double>(last_ns - begun_ns) / 1e9;
  // A short run shares the machine with others, and begins with a few processes that start.
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "s until the last harmless event had run",
                                    .value = harmless_s,
                                    .at_most = (run.lengthy ? 1.1 : 4.0) * seconds});
  outcome.figures = {{"s until the last harmless event had run", harmless_s},
                     {"s of load", seconds},
                     {"s until rest", took.count()}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario poison() {
  return {.number = 12,
          .name = "poison",
          .injected = "one event in a hundred kills its process (SIGSEGV, exit) in every attempt",
          .without = "what is kept of a delivery's attempts while it waits for the next",
          .bites = {Invariant::kAccounted},
          .run = run_poison};
}

}  // namespace fanfare::chaos
