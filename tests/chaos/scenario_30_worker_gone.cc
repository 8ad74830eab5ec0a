// A worker that holds all the work it may hold is gone: killed, stopped beyond its lease, or cut
// off from the broker.
#include <algorithm>
#include <chrono>
#include <random>
#include <unordered_map>

#include "tests/chaos/link_proxy.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_worker_gone(const Run& run) {
  RigOptions options;
  options.workers = 2;
  options.proxy_broker = true;
  options.broker = {{"FANFARE_BROKER_HEARTBEAT", "100ms"}, {"FANFARE_BROKER_LEASE", "600ms"}};
  if (run.control) options.sabotage = kNoTokens;
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  // More than they can do: every worker's window is full.
  rig.publish({.rate = 1200,
               .seconds = run.lengthy ? 20.0 : 3.0,
               .seed = run.seed,
               .mix = {{"sleep 2", 9}, {"sleep 20", 1}}});
  rig.run_for(400ms);
  Outcome outcome;
  const int rounds = run.lengthy ? 30 : 4;
  for (int round = 0; round < rounds; ++round) {
    Member& victim = rig.worker(random() % 2);
    ++outcome.times;
    // Of each kind one, in a short run.
    switch ((static_cast<std::uint64_t>(round) + run.seed) % 3) {
      case 0:
        rig.kill(victim);
        break;
      case 1:
        rig.stop(victim);
        rig.run_for(1s);
        rig.go_on(victim);
        break;
      default:
        rig.note_fault("links cut", Rig::now_ns());
        rig.broker_link().reset_all();
        break;
    }
    rig.run_for(std::chrono::milliseconds{200 + random() % 300});
  }
  rig.come_to_rest(run.control ? 5s : 40s);
  outcome.history = rig.collect();
  std::unordered_map<protocol::EventId, std::size_t> runs;
  std::size_t most = 0;
  for (const Execution& one : outcome.history.executions) {
    most = std::max(most, ++runs[one.id]);
  }
  outcome.figures = {{"executions of one delivery, at most", static_cast<double>(most)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario worker_gone() {
  return {
      .number = 30,
      .name = "workers with full windows vanish",
      .injected = "SIGKILL, SIGSTOP beyond the lease and on again, or its link to the broker cut",
      .without = "the tokens that tell a repeat, or another attempt, from the first",
      .bites = {Invariant::kOneCommit, Invariant::kConservation, Invariant::kLiveness},
      .run = run_worker_gone};
}

}  // namespace fanfare::chaos
