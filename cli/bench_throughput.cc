#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/bench.h"
#include "cli/bench_publishers.h"

namespace fanfare::cli {

namespace {

// How many events the function with that number gets: publishers send to all in turns, each
// from the first on.
std::int64_t share_of(const BenchCommand& command, std::uint32_t function) {
  std::int64_t share = 0;
  for (std::uint32_t i = 0; i < command.publishers; ++i) {
    const std::uint64_t sent =
        command.events / command.publishers + (i < command.events % command.publishers);
    share +=
        static_cast<std::int64_t>(sent / command.functions + (function < sent % command.functions));
  }
  return share;
}

// Until each function has ended as many deliveries as are wanted of it; they get their turns, so
// that one of them may stand still while others move.
Result<void> wait_for_all(BenchInstallation& bench, const std::vector<std::int64_t>& wanted) {
  std::vector<std::int64_t> seen(wanted.size(), -1);
  auto moved = std::chrono::steady_clock::now();
  for (;;) {
    const auto asked = std::chrono::steady_clock::now();
    bool all = true;
    for (std::uint32_t i = 0; i < wanted.size(); ++i) {
      if (seen[i] >= wanted[i]) continue;
      const auto now = bench.succeeded(bench_function(i));
      if (!now) return now.error();
      if (*now != seen[i]) moved = asked;
      seen[i] = *now;
      all = all && *now >= wanted[i];
    }
    if (all) return {};
    const auto answered = std::chrono::steady_clock::now();
    if (answered - moved > 20s) return retry_later("stuck: no delivery has ended for 20 s");
    // Asking for many functions is a load of its own.
    std::this_thread::sleep_for(std::max<Duration>(5ms, 10 * (answered - asked)));
  }
}

}  // namespace

Result<BenchRun> measure_throughput(BenchInstallation& bench, const BenchCommand& command) {
  std::vector<std::int64_t> wanted;
  std::vector<std::string> packed;
  for (std::uint32_t i = 0; i < command.functions; ++i) {
    const auto before = bench.succeeded(bench_function(i));
    if (!before) return before.error();
    wanted.push_back(*before + share_of(command, i));
    packed.push_back(bench_event(command.size, 0, bench_type(i)));
  }
  const std::int64_t started = monotonic_ns();
  BenchPublishers publishers(bench.broker(), std::move(packed), command);
  auto done = wait_for_all(bench, wanted);
  const std::int64_t ended = monotonic_ns();
  auto acknowledged = publishers.wait();
  if (!acknowledged) return acknowledged.error();
  if (!done) return done.error();
  const auto per_second = [&](std::int64_t end) {
    return static_cast<double>(command.events) / (static_cast<double>(end - started) / 1e9);
  };
  return BenchRun{per_second(acknowledged->last_ns), per_second(ended),
                  percentiles(acknowledged->latency_us)};
}

}  // namespace fanfare::cli
