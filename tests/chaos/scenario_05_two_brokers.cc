// A broker stands still, another one takes over, and the first one goes on as if nothing had been.
#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <random>

#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/switches.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

Outcome run_two_brokers(const Run& run) {
  RigOptions options;
  if (run.control) options.sabotage = kNoFence;
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  Member* acting = &rig.broker();
  Member* other = &rig.add_broker(rig.endpoint());
  acting->supervised = other->supervised = false;

  const int rounds = run.lengthy ? 12 : 3;
  rig.publish({.rate = 300,
               .seconds = run.lengthy ? 60.0 : 3.0,
               .seed = run.seed,
               .mix = {{"ok", 7}, {"sleep 20", 2}, {"fail 1", 1}}});
  rig.run_for(300ms);
  Outcome outcome;
  double slowest_ms = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string took_office = rig.file(fmt::format("office-{}", round));
    other->next_start = {{kFirstAtVariable, "broker.office.taken:" + took_office}};
    // In one round of three both run: nobody had noticed that the first one was there.
    const bool stopped = random() % 3 != 0;
    if (stopped) rig.stop(*acting);
    if (!stopped) rig.note_fault("a second broker", Rig::now_ns());
    // A broker does not listen where another one does. Somebody has thought that its socket was a
    // dead one's.
    std::filesystem::remove(rig.file("broker.ipc"));
    rig.start(*other);
    rig.run_until([&] { return std::filesystem::exists(took_office); }, 10s);
    rig.run_for(run.lengthy && stopped ? std::chrono::milliseconds{1000 + random() % 3000}
                                       : std::chrono::milliseconds{random() % 400});
    const std::int64_t from = Rig::now_ns();
    if (stopped) rig.go_on(*acting);
    rig.run_until([&] { return !acting->running(); }, run.control ? 2s : 5s);
    slowest_ms = std::max(slowest_ms, static_cast<double>(Rig::now_ns() - from) / 1e6);
    ++outcome.times;
    std::swap(acting, other);
    if (run.control) break;
    rig.run_for(300ms);
  }
  rig.come_to_rest(run.control ? 5s : 30s);
  outcome.history = rig.collect();
  // It asks once a second whether it is still in office; the rest is a busy machine's.
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms until a replaced broker ended",
                                    .value = slowest_ms,
                                    .at_most = run.lengthy ? 1100.0 : 1900.0});
  outcome.figures = {{"ms until a replaced broker ended, at most", slowest_ms}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario two_brokers() {
  return {.number = 5,
          .name = "two brokers",
          .injected = "SIGSTOP of the broker, another one takes over, SIGCONT; or both at once",
          .without = "the epoch's fence in Redis",
          .bites = {Invariant::kOneCommit, Invariant::kFencing, Invariant::kLiveness,
                    Invariant::kConservation},
          .run = run_two_brokers};
}

}  // namespace fanfare::chaos
