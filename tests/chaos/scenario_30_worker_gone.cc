// A worker that holds all the work it may hold is gone: killed, stopped beyond its lease, or cut
// off from the broker.
#include <algorithm>
#include <chrono>
#include <map>
#include <random>
#include <unordered_map>
#include <utility>

#include "tests/chaos/link_proxy.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// What this worker's instances have begun since then, and nobody has committed.
std::vector<protocol::EventId> uncommitted(Rig& rig, pid_t worker, std::int64_t since_ns) {
  std::vector<protocol::EventId> ids;
  for (const Execution& one : rig.executions()) {
    if (one.worker != worker || one.began_ns < since_ns) continue;
    if (!rig.has_result(one.id)) ids.push_back(one.id);
  }
  return ids;
}

// Stops a worker that holds results, or will when its instances have ended, until others have ended
// the same deliveries; then it goes on, and comes too late with all of them.
bool overtake(Rig& rig, Member& victim) {
  for (int i = 0; i < 6; ++i) {
    const std::int64_t since_ns = Rig::now_ns() - 200'000'000;
    rig.stop(victim);
    rig.run_for(50ms);  // its instances go on, and end
    const auto held = uncommitted(rig, victim.pid(), since_ns);
    const bool overtaken =
        !held.empty() && rig.run_until(
                             [&] {
                               return std::all_of(held.begin(), held.end(), [&](const auto& id) {
                                 return rig.has_result(id);
                               });
                             },
                             5s);
    rig.go_on(victim);
    if (overtaken) return true;
    rig.run_for(20ms);
  }
  return false;
}

// Executions of one delivery that began between one fault and the next, at most. One that was cut
// off may go on and begin what it had, and another worker has it once.
std::size_t most_runs_after_a_fault(const History& history) {
  std::vector<std::int64_t> faults;
  for (const Fault& one : history.faults) faults.push_back(one.from_ns);
  std::sort(faults.begin(), faults.end());
  std::map<std::pair<std::ptrdiff_t, protocol::EventId>, std::size_t> runs;
  std::size_t most = 0;
  for (const Execution& one : history.executions) {
    const auto after = std::ranges::upper_bound(faults, one.began_ns) - faults.begin();
    if (after > 0) most = std::max(most, ++runs[{after, one.id}]);
  }
  return most;
}

Outcome run_worker_gone(const Run& run) {
  RigOptions options;
  options.workers = 2;
  options.proxy_broker = true;
  options.broker = {{"FANFARE_BROKER_HEARTBEAT", "100ms"}, {"FANFARE_BROKER_LEASE", "1200ms"}};
  if (run.without()) options.sabotage = kNoTokens;
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  // More than they can do: every worker's window is full.
  rig.publish({.rate = 700,
               .seconds = run.lengthy ? 20.0 : 3.0,
               .seed = run.seed,
               .mix = {{"sleep 2", 9}, {"sleep 20", 1}}});
  rig.run_for(400ms);
  Outcome outcome;
  const int rounds = run.lengthy ? 30 : 4;
  for (int round = 0; round < rounds; ++round) {
    const std::size_t number = random() % 2;
    Member& victim = rig.worker(number);
    LinkProxy& link = rig.broker_link(number);
    std::int64_t silent_from = 0;
    ++outcome.times;
    // Of each kind one, in a short run.
    switch ((static_cast<std::uint64_t>(round) + run.seed) % 4) {
      case 0:
        rig.kill(victim);
        break;
      case 1:
        if (!overtake(rig, victim)) --outcome.times;
        break;
      case 2:
        rig.note_fault("link reset", Rig::now_ns());
        link.reset_all();
        break;
      default:
        // Neither end is told. The worker goes on with what it has; others get it after the lease.
        link.half_open(true);
        silent_from = Rig::now_ns();
        rig.run_for(std::chrono::milliseconds{1300 + random() % 500});
        link.half_open(false);
        rig.note_fault("link silent", silent_from);
        break;
    }
    rig.run_for(std::chrono::milliseconds{200 + random() % 300});
  }
  rig.come_to_rest(40s);
  outcome.history = rig.collect();
  std::unordered_map<protocol::EventId, std::size_t> runs;
  std::size_t most = 0;
  for (const Execution& one : outcome.history.executions) {
    most = std::max(most, ++runs[one.id]);
  }
  const auto after_a_fault = static_cast<double>(most_runs_after_a_fault(outcome.history));
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "executions of one delivery after one fault",
                                    .value = after_a_fault,
                                    .at_most = 2});
  outcome.figures = {{"executions of one delivery, at most", static_cast<double>(most)},
                     {"of these after one fault", after_a_fault}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario worker_gone() {
  return {
      .number = 30,
      .name = "workers with full windows vanish",
      .injected =
          "SIGKILL; SIGSTOP until others have done its work, and on again; its link to the broker "
          "reset, or silent beyond the lease",
      .without = "the tokens that tell a repeat, or another attempt, from the first",
      // Who comes too late writes a second result, or, having found no entry to close, takes the
      // first one away with its own.
      .bites = {Invariant::kOneCommit, Invariant::kNoLoss, Invariant::kConservation},
      .run = run_worker_gone};
}

}  // namespace fanfare::chaos
