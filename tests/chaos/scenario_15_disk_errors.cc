// The disk under Redis' append-only file answers with EIO.
#include <chrono>
#include <random>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/trouble_file.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_disk_errors(const Run& run) {
  Trouble trouble;
  RigOptions options;
  options.durability = run.control ? "everysec" : "fsync";
  options.redis.append_fsync = run.control ? "everysec" : "always";
  options.redis.environment = trouble.environment();
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  const int rounds = run.control ? 1 : run.lengthy ? 20 : 3;
  rig.publish({.rate = 1000,
               .seconds = 1.0 * rounds + 0.5,
               .seed = run.seed,
               .mix = {{"ok", 9}, {"fail 1", 1}}});
  Outcome outcome;
  for (int round = 0; round < rounds; ++round) {
    rig.run_for(std::chrono::milliseconds{200 + random() % 300});
    const bool sync = !run.control && random() % 2 == 0;
    (sync ? trouble.orders().failing_syncs : trouble.orders().failing_writes) =
        run.control ? 1000 : static_cast<std::int32_t>(1 + random() % 5);
    // With `always` Redis ends at the first error; the supervisor starts it again. With `everysec`
    // it goes on, refusing, and so is killed: what it had acknowledged before is nowhere.
    rig.run_until([&] { return !rig.redis().running(); }, run.control ? 1500ms : 5s);
    rig.kill_redis();
    trouble.orders().failing_syncs = trouble.orders().failing_writes = 0;
    rig.start_redis();
  }
  outcome.times = trouble.orders().failed_syncs + trouble.orders().failed_writes;
  rig.come_to_rest(run.control ? 10s : 40s);
  outcome.history = rig.collect();
  outcome.figures = {{"syncs that failed", static_cast<double>(trouble.orders().failed_syncs)},
                     {"writes that failed", static_cast<double>(trouble.orders().failed_writes)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario disk_errors() {
  return {.number = 15,
          .name = "disk errors",
          .injected = "EIO from fdatasync or write of the append-only file, Redis ends, restart",
          .without = "class fsync (the run is in class everysec)",
          .bites = {Invariant::kNoLoss},
          .run = run_disk_errors};
}

}  // namespace fanfare::chaos
