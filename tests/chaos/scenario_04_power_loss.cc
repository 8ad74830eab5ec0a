// The power goes: broker, workers and Redis end at one instant, and of Redis' file only what a sync
// had made durable is there afterwards. The publishers are other machines', and live on.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <random>
#include <stdexcept>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/trouble_file.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// The file that Redis appends to: its only one, as the rig has it never rewritten.
std::filesystem::path appended_file(const std::filesystem::path& data_dir) {
  for (const auto& file : std::filesystem::directory_iterator(data_dir / "appendonlydir")) {
    if (file.path().string().ends_with(".incr.aof")) return file.path();
  }
  throw std::runtime_error("Redis has no append-only file");
}

// Everything ends, and what was not durable is gone. Answers how many bytes that was.
std::uint64_t lose_power(Rig& rig, const Trouble& trouble) {
  rig.redis().pause();  // nothing is written, answered or synced from here on
  for (std::size_t i = 0; i < rig.workers(); ++i) {
    rig.worker(i).supervised = false;
    rig.kill(rig.worker(i));
  }
  rig.broker().supervised = false;
  rig.kill(rig.broker());
  rig.kill_redis();
  const auto file = appended_file(rig.redis().data_dir());
  const auto durable = trouble.orders().durable_bytes.load();
  const auto written = std::filesystem::file_size(file);
  if (durable == 0) throw std::runtime_error("no sync was seen");
  if (durable > written) throw std::runtime_error("the file is shorter than it was");
  std::filesystem::resize_file(file, durable);
  return written - durable;
}

void restore_power(Rig& rig) {
  rig.start_redis();
  for (Member* member : {&rig.broker(), &rig.worker(0), &rig.worker(1)}) {
    member->supervised = true;
    rig.run_until([&] { return !member->running(); }, 5s);
    rig.start(*member);
  }
}

Outcome run_power_loss(const Run& run) {
  Trouble trouble;
  RigOptions options;
  options.workers = 2;
  options.durability = run.without() ? "everysec" : "fsync";
  options.redis.append_fsync = run.without() ? "everysec" : "always";
  options.redis.environment = trouble.environment();
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  trouble.orders().notes_durable = 1;

  const int rounds = run.lengthy ? 20 : 2;
  rig.publish({.rate = 700,
               .seconds = 1.5 * rounds,
               .seed = run.seed,
               .mix = {{"ok", 85}, {"sleep 5", 5}, {"fail 1", 9}, {"never", 1}}});
  // With `everysec` the first one may be a second away.
  rig.run_until([&] { return trouble.orders().durable_bytes > 0; }, 5s);
  Outcome outcome;
  double lost_bytes = 0;
  for (int round = 0; round < rounds; ++round) {
    rig.run_for(std::chrono::milliseconds{400 + random() % 500});
    // Where syncs are once a second, the instant is one with something that waits for its sync: the
    // control is to lose it. With a sync for each answer there is no such instant to wait for.
    trouble.orders().slow_sync_ms = static_cast<std::int32_t>(random() % 5);
    if (run.without()) {
      rig.run_until(
          [&] {
            return std::filesystem::file_size(appended_file(rig.redis().data_dir())) >
                   trouble.orders().durable_bytes + 50'000;
          },
          5s);
    }
    lost_bytes += static_cast<double>(lose_power(rig, trouble));
    ++outcome.times;
    trouble.orders().slow_sync_ms = 0;
    restore_power(rig);
  }
  rig.come_to_rest(40s);
  outcome.history = rig.collect();
  outcome.figures = {{"bytes that were written and not durable", lost_bytes}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario power_loss() {
  return {
      .number = 4,
      .name = "power loss",
      .injected = "broker, workers and Redis end at once; of its file only synced bytes survive",
      .without = "class fsync (the run is in class everysec)",
      .bites = {Invariant::kNoLoss},
      .run = run_power_loss};
}

}  // namespace fanfare::chaos
