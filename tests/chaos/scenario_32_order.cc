// Workers and the broker are killed while the deliveries of many keys wait for each other.
#include <chrono>
#include <random>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_order(const Run& run) {
  RigOptions options;
  options.workers = 2;
  options.broker = {{"FANFARE_BROKER_MAX_WORKER_LOSSES", "1000"}};
  if (run.without()) options.broker_without = "keep_key_order";
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  const double seconds = run.lengthy ? 60 : 2;
  rig.publish({.rate = 400,
               .seconds = seconds,
               .seed = run.seed,
               .mix = {{"ok", 70}, {"sleep 4", 25}, {"fail 1", 5}},
               .ordering_keys = run.lengthy ? 100u : 20u});
  rig.run_for(300ms);
  Outcome outcome;
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds - 0.4);
  while (std::chrono::steady_clock::now() < until) {
    rig.run_for(std::chrono::milliseconds{150 + random() % 200});
    Member& victim = random() % 4 == 0 ? rig.broker() : rig.worker(random() % 2);
    if (!victim.running()) continue;
    rig.kill(victim);
    ++outcome.times;
  }
  rig.come_to_rest(run.lengthy ? 180s : 40s);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario order() {
  return {.number = 32,
          .name = "order under crashes",
          .injected = "SIGKILL of workers and broker while deliveries of many keys wait in line",
          .without = "keeping deliveries of one key in line",
          .bites = {Invariant::kOrder},
          .run = run_order};
}

}  // namespace fanfare::chaos
