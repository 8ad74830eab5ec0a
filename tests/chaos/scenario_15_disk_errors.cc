// The disk under Redis' append-only file answers with EIO.
#include <chrono>
#include <random>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/trouble_file.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// With `always` Redis has ended, or does so while it is asked; with `everysec` it says so.
bool cannot_write(test::RedisServer& redis) {
  if (!redis.running()) return true;
  auto connected = RedisSync::connect(redis.options());
  if (!connected) return false;
  const auto info = connected->call({"INFO", "persistence"});
  return info && (*info)->text().find("aof_last_write_status:err") != std::string_view::npos;
}

Outcome run_disk_errors(const Run& run) {
  Trouble trouble;
  RigOptions options;
  options.durability = run.without() ? "everysec" : "fsync";
  options.redis.append_fsync = run.without() ? "everysec" : "always";
  options.redis.environment = trouble.environment();
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  const int rounds = run.control ? 1 : run.lengthy ? 20 : 3;
  rig.publish({.rate = 1000,
               .seconds = 1.0 * rounds + 0.5,
               .seed = run.seed,
               .mix = {{"ok", 9}, {"fail 1", 1}}});
  if (run.control) {
    // Nothing but appends is written: so it is one that is acknowledged and not written.
    rig.run_for(200ms);
    rig.worker(0).supervised = false;
    rig.kill(rig.worker(0));
  }
  Outcome outcome;
  for (int round = 0; round < rounds; ++round) {
    rig.run_for(std::chrono::milliseconds{200 + random() % 300});
    // One kind after the other, from the seed's.
    const bool sync = !run.control && (static_cast<std::uint64_t>(round) + run.seed) % 2 == 0;
    (sync ? trouble.orders().failing_syncs : trouble.orders().failing_writes) =
        run.control ? 1'000'000 : static_cast<std::int32_t>(1 + random() % 5);
    // With `always` Redis ends at the first error; the supervisor starts it again. With `everysec`
    // it goes on, refusing, and so is killed: what it had acknowledged before is nowhere.
    rig.run_until([&] { return cannot_write(rig.redis()); }, 5s);
    rig.run_for(200ms);  // until publishers have heard of it
    rig.kill_redis();
    trouble.orders().failing_syncs = trouble.orders().failing_writes = 0;
    rig.start_redis();
  }
  if (run.control) rig.start(rig.worker(0));
  outcome.times = trouble.orders().failed_syncs + trouble.orders().failed_writes;
  rig.come_to_rest(40s);
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
          .own_faults = true,
          .run = run_disk_errors};
}

}  // namespace fanfare::chaos
