// Redis answers late: now a little, now so late that publishers send again.
#include <chrono>
#include <random>

#include "tests/chaos/figures.h"
#include "tests/chaos/link_proxy.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// Acknowledged publications between two instants, per second.
double acknowledged_per_s(const History& history, std::int64_t from_ns, std::int64_t to_ns) {
  std::size_t count = 0;
  for (const Submission& one : history.submissions) {
    if (one.fate == Submission::Fate::kAccepted && one.answered_ns >= from_ns &&
        one.answered_ns < to_ns) {
      ++count;
    }
  }
  return static_cast<double>(count) / (static_cast<double>(to_ns - from_ns) / 1e9);
}

Outcome run_slow_redis(const Run& run) {
  RigOptions options;
  options.proxy_redis = true;
  options.workers = 2;
  if (run.without()) options.broker_without = "repeat_guard";
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  const std::int64_t begun = Rig::now_ns();
  constexpr double kRate = 500;
  rig.publish({.rate = kRate,
               .seconds = 300,  // stopped when it has healed
               .seed = run.seed,
               .mix = {{"ok", 9}, {"sleep 5", 1}}});
  rig.run_for(500ms);
  Outcome outcome;
  // In each direction; publishers send again what is not answered within a second.
  constexpr int kDelays[] = {3, 25, 250, 650};
  const int rounds = run.lengthy ? 40 : 5;
  for (int round = 0; round < rounds; ++round) {
    const int delay = round == 0 ? 650 : kDelays[random() % 4];
    rig.redis_link().delay(std::chrono::milliseconds{delay});
    ++outcome.times;
    rig.run_for(std::chrono::milliseconds{delay == 650 ? 1600 : 300});
  }
  rig.redis_link().delay(0ms);
  const std::int64_t healed = Rig::now_ns();
  rig.run_for(run.lengthy ? 6s : 1500ms);
  rig.stop_publishing();
  rig.come_to_rest(40s);
  outcome.history = rig.collect();
  outcome.history.bounds.push_back(
      {.of = Bounded::Of::kResource,
       .what = "executions for each event, in percent",
       .value = 100.0 * static_cast<double>(outcome.history.executions.size()) /
                static_cast<double>(outcome.history.submissions.size()),
       .at_most = 110});
  const double recovered = ms_until_acknowledged(outcome.history, healed, 0.95 * kRate);
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms until 95 % of the rate were acknowledged again",
                                    .value = recovered,
                                    .at_most = 5000});
  outcome.figures = {{"acknowledged per s before",
                      acknowledged_per_s(outcome.history, begun, begun + 500'000'000)},
                     {"during", acknowledged_per_s(outcome.history, begun + 500'000'000, healed)},
                     {"in the second after it healed",
                      acknowledged_per_s(outcome.history, healed, healed + 1'000'000'000)},
                     {"ms until 95 % of the rate were acknowledged again", recovered}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario slow_redis() {
  return {.number = 16,
          .name = "slow Redis",
          .injected = "3 to 650 ms on the wire to Redis, each way, changing",
          .without = "the repeat guard",
          .bites = {Invariant::kUnknownOnce},
          .run = run_slow_redis};
}

}  // namespace fanfare::chaos
