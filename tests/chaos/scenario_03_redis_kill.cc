// Redis is killed while its disk is slow: what it has acknowledged and not yet written is gone.
#include <chrono>
#include <random>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/trouble_file.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_redis_kill(const Run& run) {
  Trouble trouble;
  RigOptions options;
  options.durability = run.without() ? "everysec" : "fsync";
  options.redis.append_fsync = run.without() ? "everysec" : "always";
  options.redis.environment = trouble.environment();
  Rig rig(options);
  std::mt19937_64 random(run.seed);

  const int rounds = run.control ? 1 : run.lengthy ? 20 : 2;
  rig.publish({.rate = 1000,
               .seconds = 1.5 * rounds + 1,
               .seed = run.seed,
               .mix = {{"ok", 9}, {"fail 1", 1}}});
  Outcome outcome;
  for (int round = 0; round < rounds; ++round) {
    rig.run_for(std::chrono::milliseconds{200 + random() % 300});
    // Just below the two seconds that Redis puts a write off for.
    trouble.orders().slow_sync_ms = run.control ? 1900 : static_cast<std::int32_t>(random() % 1900);
    if (run.control) {
      rig.redis().pause_with_unwritten(20'000, 5s);
      rig.run_for(200ms);  // what it has answered is acknowledged by then
    } else {
      rig.run_for(std::chrono::milliseconds{100 + random() % 600});
    }
    rig.kill_redis();
    trouble.orders().slow_sync_ms = 0;
    rig.start_redis();
    ++outcome.times;
  }
  rig.come_to_rest(60s);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  outcome.figures = {{"syncs that were slow", static_cast<double>(trouble.orders().slow_syncs)}};
  return outcome;
}

}  // namespace

Scenario redis_kill() {
  return {.number = 3,
          .name = "Redis killed on a slow disk",
          .injected = "each sync takes up to 1.9 s; SIGKILL of Redis at a random instant, restart",
          .without = "class fsync (the run is in class everysec)",
          .bites = {Invariant::kNoLoss},
          .own_faults = true,
          .run = run_redis_kill};
}

}  // namespace fanfare::chaos
