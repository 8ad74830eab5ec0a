// A broker stands still, another one takes over, and the first one goes on as if nothing had been.
//
// What both of them know of are delayed events, accepted before and due when all is over: if both
// were still acting, with a worker each, both would lend them.
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
  options.workers = 2;
  if (run.without()) options.sabotage = kNoFence;
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  Member* acting = &rig.broker();
  Member* other = &rig.add_broker(rig.endpoint());
  acting->supervised = other->supervised = false;

  const int rounds = run.lengthy ? 12 : 2;
  rig.publish({.rate = 500,
               .seconds = 0.08,
               .seed = run.seed + 1,
               .mix = {{"sleep 40", 1}},  // so long that nobody has ended one before both lend it
               .delay_ms = run.lengthy ? 55'000u : 6'500u});
  rig.publish({.rate = 300,
               .seconds = run.lengthy ? 50.0 : 3.0,
               .seed = run.seed,
               .mix = {{"ok", 7}, {"sleep 20", 2}, {"fail 1", 1}}});
  rig.run_for(300ms);
  Outcome outcome;
  double slowest_ms = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string took_office = rig.file(fmt::format("office-{}", round));
    other->next_start = {{kFirstAtVariable, "broker.office.taken:" + took_office}};
    // In some rounds both run: nobody had noticed that the first one was there.
    const bool stopped = (static_cast<std::uint64_t>(round) + run.seed) % 2 == 0;
    if (stopped) rig.stop(*acting);
    if (!stopped) rig.note_fault("a second broker", Rig::now_ns());
    // A broker does not listen where another one does. Somebody has thought that its sockets were a
    // dead one's.
    std::filesystem::remove(rig.file("broker.ipc"));
    std::filesystem::remove(rig.file("broker.ipc.direct"));
    rig.start(*other);
    rig.run_until([&] { return std::filesystem::exists(took_office); }, 10s);
    rig.run_for(run.lengthy && stopped ? std::chrono::milliseconds{1000 + random() % 3000}
                                       : std::chrono::milliseconds{random() % 400});
    // One worker stays with the first broker, as far as that goes, and one comes to the second.
    rig.kill(rig.worker(0));
    rig.run_for(100ms);
    const std::int64_t from = Rig::now_ns();
    if (stopped) rig.go_on(*acting);
    const bool ended = rig.run_until([&] { return !acting->running(); }, 5s);
    slowest_ms = std::max(slowest_ms, static_cast<double>(Rig::now_ns() - from) / 1e6);
    ++outcome.times;
    std::swap(acting, other);
    if (!ended) break;
    rig.run_for(300ms);
  }
  rig.come_to_rest(30s);
  const double disk_wait_ms = rig.disk_wait_ms();
  outcome.history = rig.collect();
  // It asks once a second whether it is still in office; the rest is a busy machine's. It has no
  // answer as long as Redis waits for its disk.
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms until a replaced broker ended",
                                    .value = slowest_ms,
                                    .at_most = (run.lengthy ? 1100.0 : 1900.0) + disk_wait_ms});
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
          .bites = {Invariant::kAccounted, Invariant::kOneCommit, Invariant::kFencing,
                    Invariant::kConservation},
          .run = run_two_brokers};
}

}  // namespace fanfare::chaos
