// Workers are killed one after the other, faster than they can take up work in peace.
#include <chrono>
#include <random>

#include "tests/chaos/figures.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_worker_storm(const Run& run) {
  RigOptions options;
  options.workers = 3;
  // A delivery that dies with its worker again and again is not what is tried here.
  options.broker = {{"FANFARE_BROKER_MAX_WORKER_LOSSES", "1000"}};
  if (run.without()) options.broker_without = "take_back_from_lost_workers";
  Rig rig(options);
  std::mt19937_64 random(run.seed);

  const double seconds = run.lengthy ? 60 : 2;
  rig.publish({.rate = run.lengthy ? 5000.0 : 800.0,
               .seconds = seconds,
               .seed = run.seed,
               .mix = {{"ok", 60}, {"sleep 10", run.lengthy ? 10 : 40}}});
  rig.run_for(300ms);
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds - 0.5);
  Outcome outcome;
  while (std::chrono::steady_clock::now() < until) {
    rig.run_for(run.lengthy ? 20ms : 100ms);
    Member& victim = rig.worker(random() % rig.workers());
    if (!victim.running()) continue;
    rig.kill(victim);
    ++outcome.times;
  }
  rig.come_to_rest(run.lengthy ? 120s : 20s);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  const auto waits = ms_until_run_again(outcome.history);
  outcome.figures = {{"deliveries that died with their worker", static_cast<double>(waits.size())},
                     {"ms from the kill until they ran again, p50", quantile(waits, 0.5)},
                     {"p99", quantile(waits, 0.99)}};
  return outcome;
}

}  // namespace

Scenario worker_storm() {
  return {.number = 2,
          .name = "worker kill storm",
          .injected = "SIGKILL of a random worker, every 100 ms (long: 20 ms) under load",
          .without = "taking back what a lost worker held",
          .bites = {Invariant::kLiveness},
          .run = run_worker_storm};
}

}  // namespace fanfare::chaos
