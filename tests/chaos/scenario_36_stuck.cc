// One event in a hundred is not done with for a day. The others must not stay in Redis because of
// it: a journal frees its memory by whole entries.
#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/trouble_file.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

double used_memory(test::RedisServer& redis) {
  const std::string info = redis.command({"INFO", "memory"});
  constexpr std::string_view kField = "used_memory:";
  const std::size_t at = info.find(kField);
  return at == std::string::npos ? 0 : std::atof(info.c_str() + at + kField.size());
}

Outcome run_stuck(const Run& run) {
  Trouble trouble;
  RigOptions options;
  options.broker = trouble.variables();
  options.read_file = false;  // gigabytes, in a long run
  // The second attempt comes after a day. Results are of no interest here.
  options.manifest = "[retry]\nmax_attempts = 5\nmax_age = \"240h\"\n[result]\nttl = \"0s\"\n";
  if (run.without()) options.sabotage = kNoFreeing;
  Rig rig(options);
  const double events = run.lengthy ? 2'000'000 : 15'000;
  const double rate = run.lengthy ? 8'000 : 5'000;
  const auto load = [&](double share, std::uint64_t seed) {
    rig.publish({.rate = rate,
                 .seconds = share * events / rate,
                 .seed = seed,
                 .mix = {{"ok", 99}, {"later 86400000", 1}}});
  };
  const auto all_waits = [&] { return rig.published() && rig.counts().open == 0; };
  // The first tenth brings everything that is there once: functions, guards, allocator.
  load(0.1, run.seed);
  rig.run_until(all_waits, 60s);
  const double memory_before = used_memory(rig.redis());
  const double stuck_before = static_cast<double>(rig.counts().later);
  load(0.9, run.seed + 1);
  const bool waits = rig.run_until(all_waits, std::chrono::seconds{run.lengthy ? 900 : 60});
  const double stuck = static_cast<double>(rig.counts().later) - stuck_before;
  const double grown = used_memory(rig.redis()) - memory_before;
  Outcome outcome;
  outcome.times = waits ? static_cast<std::size_t>(stuck) : 0;
  rig.note_fault("a day passes", Rig::now_ns());
  trouble.orders().wall_clock_ms = 25 * 3'600'000;
  rig.come_to_rest(run.lengthy ? 120s : 30s);
  outcome.history = rig.collect();
  outcome.history.results_kept = false;
  // In a short run some hundred kB of connections' buffers count for much.
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "bytes that Redis grew by for each event that waits",
                                    .value = grown / std::max(1.0, stuck),
                                    .at_most = run.lengthy ? 1200.0 : 3000.0});
  outcome.figures = {{"events", events},
                     {"of which wait", stuck},
                     {"bytes that Redis grew by for each that waits", grown / std::max(1.0, stuck)},
                     {"bytes that Redis grew by for each event", grown / (0.9 * events)}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario stuck() {
  return {.number = 36,
          .name = "stuck entries",
          .injected = "1 % of the events (long: of 2,000,000) wait for a day among the others",
          .without = "freeing the entries whose deliveries have all ended or moved to `later`",
          .bites = {Invariant::kResources},
          .run = run_stuck};
}

}  // namespace fanfare::chaos
