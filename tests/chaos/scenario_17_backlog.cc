// Redis ends with a great many deliveries waiting, and takes a while to load them again: until it
// has, it answers everybody with LOADING.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// What Redis says it took to read its file when it last started, in ms.
double ms_of_loading(const std::string& log) {
  constexpr std::string_view kWords = "DB loaded from append only file: ";
  const std::size_t at = log.rfind(kWords);
  return at == std::string::npos ? 0 : 1000 * std::atof(log.c_str() + at + kWords.size());
}

// Megabytes that a process has held at most.
double peak_mb(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  const std::string status{std::istreambuf_iterator<char>(file), {}};
  const std::size_t at = status.find("VmHWM:");
  return at == std::string::npos ? 0 : std::atof(status.c_str() + at + 6) / 1024;
}

Outcome run_backlog(const Run& run) {
  RigOptions options;
  options.read_file = !run.lengthy;
  // Each command of the file takes a while, so that loading is long enough to be noticed, and Redis
  // looks for requests in between.
  if (!run.lengthy) {
    options.redis.more = {"--key-load-delay", "1000", "--loading-process-events-interval-bytes",
                          "1024"};
  }
  if (run.without()) options.broker_without = "keep_key_order";
  Rig rig(options);
  rig.worker(0).supervised = false;
  rig.kill(rig.worker(0));
  const double events = run.lengthy ? 1'000'000 : 20'000;
  const double rate = 20'000;
  rig.publish({.rate = rate, .seconds = events / rate, .seed = run.seed, .data_bytes = 100});
  rig.run_until([&] { return rig.published(); }, run.lengthy ? 300s : 30s);
  // Some in line, which must not lose it: where one fails, the others wait for its retry.
  rig.publish({.rate = 400,
               .seconds = 0.5,
               .seed = run.seed + 1,
               .mix = {{"ok", 2}, {"fail 1", 1}},
               .ordering_keys = 5});
  rig.run_until([&] { return rig.published(); }, 10s);
  rig.worker(0).supervised = true;
  rig.start(rig.worker(0));
  rig.run_until([&] { return rig.executions().size() > 100; }, 10s);
  // It dies with commits that it has not answered, or not even read.
  rig.redis().pause();
  rig.run_for(100ms);
  const std::int64_t killed = Rig::now_ns();
  rig.kill_redis();
  rig.start_redis();  // has loaded when this returns
  const std::int64_t loaded = Rig::now_ns();
  const Counts then = rig.counts();
  Outcome outcome;
  outcome.times = ms_of_loading(rig.redis().log()) > 100 ? 1 : 0;
  rig.come_to_rest(run.lengthy ? 600s : 60s);
  outcome.history = rig.collect();
  std::int64_t first = loaded + 1'000'000'000'000;
  for (const Execution& one : outcome.history.executions) {
    if (one.began_ns > loaded) first = std::min(first, one.began_ns);
  }
  const double ms = static_cast<double>(first - loaded) / 1e6;
  outcome.history.bounds.push_back({.of = Bounded::Of::kTime,
                                    .what = "ms from the end of loading until deliveries ran",
                                    .value = ms,
                                    .at_most = 5000});
  // Of what waits a broker has a window only.
  const double mb = peak_mb(rig.broker().pid());
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "MB that the broker held",
                                    .value = mb,
                                    .at_most = 64});
  outcome.figures = {
      {"deliveries that waited when Redis was up again", static_cast<double>(then.open)},
      {"ms that it took to load them", static_cast<double>(loaded - killed) / 1e6},
      {"ms from then until deliveries ran", ms},
      {"MB that the broker held, at most", mb}};
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario backlog() {
  return {.number = 17,
          .name = "Redis loads a backlog",
          .injected =
              "SIGKILL of Redis with 20,000 deliveries waiting (long: 1,000,000); it loads "
              "for long",
          .without = "keeping deliveries of one key in line",
          .bites = {Invariant::kOrder},
          .run = run_backlog};
}

}  // namespace fanfare::chaos
