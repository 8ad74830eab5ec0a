// The broker ends with a long queue behind it, and is started again at once: how long does nothing
// succeed?
//
// The control needs more: a worker that is late to say what it runs, when the new broker looks
// around. What has an ordering key must not run beside itself then.
#include <algorithm>
#include <chrono>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// The longest time without a success from just before `from_ns` to `to_ns`, in ms.
double longest_pause_ms(const std::vector<Execution>& executions, std::int64_t from_ns,
                        std::int64_t to_ns) {
  std::vector<std::int64_t> ends{to_ns};
  std::int64_t last_before = from_ns;
  for (const Execution& one : executions) {
    if (one.ended_ns == 0 || one.failed || one.ended_ns > to_ns) continue;
    if (one.ended_ns >= from_ns) ends.push_back(one.ended_ns);
  }
  std::sort(ends.begin(), ends.end());
  std::int64_t longest = 0;
  for (const std::int64_t end : ends) {
    longest = std::max(longest, end - last_before);
    last_before = end;
  }
  return static_cast<double>(longest) / 1e6;
}

struct Restart {
  std::int64_t killed_ns = 0, watched_until_ns = 0;
  double waiting = 0;
};

Restart restart(Rig& rig, std::chrono::milliseconds watched) {
  Restart one;
  one.waiting = static_cast<double>(rig.counts().open);
  one.killed_ns = Rig::now_ns();
  rig.kill(rig.broker());  // the supervisor is awake
  // As long as there is something to be run.
  rig.run_until([&] { return rig.counts().open < 1000; }, watched);
  one.watched_until_ns = Rig::now_ns();
  return one;
}

// Events of a few keys run for long, and a worker is deaf while a new broker begins.
bool let_one_be_late(Rig& rig, std::uint64_t seed) {
  // Both have warm instances first, or one of them would get everything.
  rig.publish({.rate = 2000, .seconds = 0.06, .seed = seed, .mix = {{"sleep 30", 1}}});
  rig.come_to_rest(20s);
  const std::int64_t rested_ns = Rig::now_ns();
  // Fewer than one worker has slots: however they are shared out, the other has room for what the
  // late one runs. Long enough that a busy machine's broker is back meanwhile.
  rig.publish({.rate = 400,
               .seconds = 0.016,
               .seed = seed + 1,
               .mix = {{"sleep 4000", 1}},
               .ordering_keys = 1000});
  const auto began_in = [&](pid_t worker, std::int64_t since_ns) {
    const auto executions = rig.executions();
    return std::ranges::any_of(executions, [&](const Execution& one) {
      return one.worker == worker && one.began_ns > since_ns;
    });
  };
  const pid_t late = rig.worker(0).pid(), other = rig.worker(1).pid();
  const bool both =
      rig.run_until([&] { return began_in(late, rested_ns) && began_in(other, rested_ns); }, 5s);
  rig.stop(rig.worker(0));
  const std::int64_t killed_ns = Rig::now_ns();
  rig.kill(rig.broker());
  rig.run_until([&] { return began_in(other, killed_ns); }, 3500ms);
  rig.go_on(rig.worker(0));
  return both;
}

Outcome run_restart(const Run& run) {
  RigOptions options;
  options.workers = 2;
  // One worker may end with all of them warm, and the process that they came from.
  if (run.control) options.slots = 7;
  if (run.without()) options.broker_without = "wait_for_announcements";
  Rig rig(options);
  Outcome outcome;
  if (run.control) {
    outcome.times = let_one_be_late(rig, run.seed) ? 1 : 0;
    rig.come_to_rest(20s);
    outcome.history = rig.collect();
    outcome.logs = rig.logs();
    return outcome;
  }
  for (std::size_t i = 0; i < rig.workers(); ++i) {
    rig.worker(i).supervised = false;
    rig.kill(rig.worker(i));
  }
  const double events = run.lengthy ? 100'000 : 15'000;
  const double rate = 20'000;
  rig.publish({.rate = rate, .seconds = events / rate, .seed = run.seed, .data_bytes = 100});
  rig.run_until([&] { return rig.published(); }, run.lengthy ? 60s : 15s);
  for (std::size_t i = 0; i < rig.workers(); ++i) {
    rig.worker(i).supervised = true;
    rig.start(rig.worker(i));
  }
  rig.run_until([&] { return rig.executions().size() > 1000; }, 20s);
  std::vector<Restart> restarts;
  for (int i = 0; i < (run.lengthy ? 3 : 1); ++i) {
    restarts.push_back(restart(rig, 1500ms));
    outcome.times += restarts.back().waiting > events / 10 ? 1 : 0;
  }
  rig.come_to_rest(run.lengthy ? 120s : 40s);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  double longest = 0;
  for (const Restart& one : restarts) {
    const double pause =
        longest_pause_ms(outcome.history.executions, one.killed_ns, one.watched_until_ns);
    longest = std::max(longest, pause);
    outcome.figures.push_back({"deliveries that waited when the broker was killed", one.waiting});
    outcome.figures.push_back({"ms without a success, at most", pause});
  }
  // A busy machine's share is what a short run allows for.
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms without a success over a restart of the broker",
                                    .value = longest,
                                    .at_most = run.lengthy ? 500.0 : 10'000.0});
  return outcome;
}

}  // namespace

Scenario restart() {
  return {.number = 41,
          .name = "restart with a queue",
          .injected =
              "SIGKILL of the broker with 15,000 deliveries waiting (long: 100,000); it is "
              "started again at once",
          .without = "waiting for what workers say they run",
          .bites = {Invariant::kOrder},
          .own_faults = true,
          .run = run_restart};
}

}  // namespace fanfare::chaos
