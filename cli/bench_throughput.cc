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
  // One after the other: asking Redis of all over and over would be a load of its own.
  Result<void> done;
  for (std::uint32_t i = 0; i < command.functions && done; ++i) {
    done = bench.wait_succeeded(wanted[i], bench_function(i));
  }
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
