// A great many deliveries are due at one instant, while the broker is down.
#include <chrono>

#include "tests/chaos/figures.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_delayed(const Run& run) {
  RigOptions options;
  if (run.without()) options.sabotage = kNoDueTimes;
  Rig rig(options);
  const double events = run.lengthy ? 200'000 : 2'000;
  const std::uint64_t delay_ms = run.lengthy ? 20'000 : 2'000;
  const double publish_s = run.lengthy ? 10 : 1;
  const std::int64_t begun = Rig::now_ns();
  rig.publish({.rate = events / publish_s,
               .seconds = publish_s,
               .seed = run.seed,
               .mix = {{"ok", 1}},
               .delay_ms = delay_ms});
  // Others fail and are due again at once: the broker asks for what is due all the time.
  rig.publish(
      {.rate = 200, .seconds = publish_s + 0.3, .seed = run.seed + 1, .mix = {{"fail 1", 1}}});
  const auto until_due =
      std::chrono::nanoseconds{begun - Rig::now_ns()} + std::chrono::milliseconds{delay_ms};
  rig.run_until([&] { return static_cast<double>(rig.counts().later) >= events; },
                until_due - 300ms);
  Outcome outcome;
  const auto waiting = static_cast<double>(rig.counts().later);
  // It is down while they become due.
  rig.broker().supervised = false;
  rig.kill(rig.broker());
  ++outcome.times;
  rig.run_for(std::chrono::nanoseconds{begun - Rig::now_ns()} +
              std::chrono::milliseconds{delay_ms} + 500ms);
  rig.broker().supervised = true;
  rig.start(rig.broker());
  const std::int64_t up = Rig::now_ns();
  rig.come_to_rest(120s);
  outcome.history = rig.collect();
  std::vector<double> lags;
  for (const Execution& one : outcome.history.executions) {
    if (one.began_ns >= up) lags.push_back(static_cast<double>(one.began_ns - up) / 1e6);
  }
  // What is due at one instant runs as fast as anything else does: a second until the broker lends
  // again, and 10,000 a second then. A short run shares the machine with others.
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms from the broker's start until the last had run",
                                    .value = quantile(lags, 1),
                                    .at_most = run.lengthy ? 1000 + events / 10 : 15'000});
  outcome.figures = {{"deliveries that waited when the broker died", waiting},
                     {"ms from the broker's start until they ran, p50", quantile(lags, 0.5)},
                     {"the last of them", quantile(lags, 1)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario delayed() {
  return {.number = 33,
          .name = "delayed events",
          .injected = "thousands are due while the broker is down",
          .without = "due times (who asks for what is due gets everything)",
          .bites = {Invariant::kAccounted},
          .run = run_delayed};
}

}  // namespace fanfare::chaos
