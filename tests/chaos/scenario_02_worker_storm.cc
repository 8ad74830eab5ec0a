// Workers are killed: first now and then, with room for their work elsewhere, which shows how soon
// it goes on; then one after the other, faster than they can take up work in peace.
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

  Outcome outcome;
  const auto kill_one = [&] {
    Member& victim = rig.worker(random() % rig.workers());
    if (!victim.running()) return;
    rig.kill(victim);
    ++outcome.times;
  };
  const double in_peace = run.lengthy ? 20 : 2;
  rig.publish({.rate = 300,
               .seconds = in_peace + 0.3,
               .seed = run.seed + 1,
               .mix = {{"ok", 30}, {"sleep 10", 70}}});
  rig.run_for(300ms);
  const auto peace_ends =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(in_peace - 0.4);
  while (std::chrono::steady_clock::now() < peace_ends) {
    kill_one();
    rig.run_for(250ms);
  }
  const std::int64_t storm_begins_ns = std::chrono::steady_clock::now().time_since_epoch().count();

  const double seconds = run.lengthy ? 60 : 2;
  rig.publish({.rate = run.lengthy ? 5000.0 : 800.0,
               .seconds = seconds,
               .seed = run.seed,
               .mix = {{"ok", 60}, {"sleep 10", run.lengthy ? 10 : 40}}});
  rig.run_for(300ms);
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds - 0.5);
  while (std::chrono::steady_clock::now() < until) {
    rig.run_for(run.lengthy ? 20ms : 100ms);
    kill_one();
  }
  rig.come_to_rest(run.lengthy ? 120s : 20s);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  const auto alone = ms_until_run_again(outcome.history, 0, storm_begins_ns);
  const auto waits = ms_until_run_again(outcome.history, storm_begins_ns);
  // With room elsewhere it takes as long as noticing and lending do: on a machine that does nothing
  // else.
  if (run.lengthy) {
    outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                      .what = "ms from the kill until they ran again, p99",
                                      .value = quantile(alone, 0.99),
                                      .at_most = 20});
  }
  outcome.figures = {
      {"deliveries that died with a worker, others having room", static_cast<double>(alone.size())},
      {"ms from the kill until they ran again, p50", quantile(alone, 0.5)},
      {"p99", quantile(alone, 0.99)},
      {"deliveries that died in the storm", static_cast<double>(waits.size())},
      {"ms until they ran again, behind what waits everywhere, p50", quantile(waits, 0.5)}};
  return outcome;
}

}  // namespace

Scenario worker_storm() {
  return {.number = 2,
          .name = "worker kill storm",
          .injected =
              "SIGKILL of a random worker, now and then and every 100 ms (long: 20 ms), under load",
          .without = "taking back what a lost worker held",
          .bites = {Invariant::kLiveness},
          .run = run_worker_storm};
}

}  // namespace fanfare::chaos
