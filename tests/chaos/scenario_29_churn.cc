// Connections come and go by the hundred: publishers that stay for a moment, workers whose links
// are reset or silent for a while. Nobody may keep anything of them.
#include <fmt/format.h>

#include <chrono>
#include <random>

#include "tests/chaos/link_proxy.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/switches.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_churn(const Run& run) {
  RigOptions options;
  options.proxy_broker = true;
  options.proxy_redis = true;
  // One of the two, by the seed: either is to be seen by itself.
  if (run.without()) {
    options.worker = {{kLeakVariable, fmt::format("worker.result.taken:{}",
                                                  run.seed % 2 == 0 ? "1:0" : "0:1024")}};
  }
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  const double seconds = run.lengthy ? 100 : 3;
  // So many that a kilobyte for each is more than any queue of theirs can leave behind.
  rig.publish({.rate = 2000, .seconds = seconds, .seed = run.seed, .mix = {{"ok", 1}}});
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds - 0.5);
  Outcome outcome;
  double connections = 0;
  for (std::size_t round = 0; std::chrono::steady_clock::now() < until; ++round) {
    rig.publish({.rate = 200,
                 .seconds = 0.05,
                 .seed = run.seed + round,
                 .mix = {{"ok", 1}},
                 .clients = 10});
    connections += 10;
    const std::int64_t from = Rig::now_ns();
    switch (random() % 4) {
      case 0:
        rig.broker_link(0).reset_all();
        break;
      case 1:
        rig.redis_link().reset_all();
        break;
      case 2:
        rig.broker_link(0).half_open(true);
        rig.run_for(std::chrono::milliseconds{20 + random() % 80});
        rig.broker_link(0).half_open(false);
        break;
      default:
        break;
    }
    rig.note_fault("links", from);
    ++outcome.times;
    rig.run_for(std::chrono::milliseconds{50 + random() % 50});
  }
  rig.come_to_rest(run.lengthy ? 120s : 30s);
  outcome.history = rig.collect();
  outcome.figures = {{"publishers that came and went", connections}};
  for (const Held& one : outcome.history.held) {
    outcome.figures.push_back(
        {one.process + ": more descriptors than before",
         static_cast<double>(one.after.descriptors - one.before.descriptors)});
    outcome.figures.push_back({"more KiB", static_cast<double>(one.after.kib - one.before.kib)});
  }
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario churn() {
  return {
      .number = 29,
      .name = "connection churn",
      .injected =
          "publishers connect and leave by the hundred (long: 10,000); a worker's link is reset or "
          "silent for a moment, links to Redis are reset",
      .without =
          "giving back what a delivery took (a worker keeps a descriptor, or 1 KiB, of "
          "each)",
      .bites = {Invariant::kResources},
      .run = run_churn};
}

}  // namespace fanfare::chaos
