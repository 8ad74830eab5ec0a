// The wall clock of Redis, broker and workers jumps by an hour, back and forth.
#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <vector>

#include "tests/chaos/figures.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/trouble_file.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_clock_steps(const Run& run) {
  Trouble trouble;
  RigOptions options;
  options.workers = 2;
  options.redis.environment = trouble.environment();
  options.broker = options.worker = trouble.variables();
  Rig rig(options);
  std::mt19937_64 random(run.seed);

  const double seconds = run.lengthy ? 30 : 3;
  rig.publish({.rate = 500,
               .seconds = seconds,
               .seed = run.seed,
               .mix = {{"ok", 80}, {"sleep 30", 15}, {"fail 1", 5}}});
  // Due while the clock jumps: neither early nor late by more than a second, whatever it says.
  rig.publish({.rate = 50,
               .seconds = seconds,
               .first_tag = 1'000'000,
               .seed = run.seed + 1,
               .mix = {{"ok", 1}},
               .delay_ms = 1500});
  rig.run_for(300ms);
  Outcome outcome;
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds - 0.5);
  while (std::chrono::steady_clock::now() < until) {
    // Between an hour behind and an hour ahead; now and then a second in quick succession.
    const std::int64_t to = random() % 4 == 0
                                ? (random() % 2 == 0 ? 1000 : -1000)
                                : static_cast<std::int64_t>(random() % 7'200'000) - 3'600'000;
    trouble.orders().wall_clock_ms = to;
    // No machine does this; it is what leases would see if they went by the wall clock. Ahead each
    // time: set back, it would only make everybody wait.
    if (run.without()) trouble.orders().steady_clock_ms += std::abs(to);
    ++outcome.times;
    rig.run_for(std::chrono::milliseconds{50 + random() % 200});
  }
  // The last step: an hour behind, and so it stays. Nothing waits for the clock to catch up.
  trouble.orders().wall_clock_ms = -3'600'000;
  rig.come_to_rest(30s);
  outcome.history = rig.collect();
  constexpr std::int64_t kSecond = 1'000'000'000;
  outcome.history.early_max_ns = kSecond;
  outcome.history.late_max_ns = 2 * kSecond;  // one of them for a busy machine
  std::map<Tag, std::int64_t> due;
  for (const Submission& one : outcome.history.submissions) due[one.tag] = one.not_before_ns;
  std::vector<double> lags;
  for (const Execution& one : outcome.history.executions) {
    const auto at = due.find(one.tag);
    if (one.attempt != 1 || at == due.end() || at->second == 0) continue;
    lags.push_back(static_cast<double>(one.began_ns - at->second) / 1e6);
  }
  outcome.figures = {
      {"ms after its due time that a delayed one ran, the earliest", quantile(lags, 0)},
      {"the latest", quantile(lags, 1)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario clock_steps() {
  return {.number = 10,
          .name = "clock steps",
          .injected = "the wall clock of all processes jumps by up to ±1 h, several times a second",
          .without = "leases by the monotonic clock (it jumps, too)",
          .bites = {Invariant::kAccounted},
          .run = run_clock_steps};
}

}  // namespace fanfare::chaos
