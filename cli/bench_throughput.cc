#include "cli/bench.h"
#include "cli/bench_publishers.h"

namespace fanfare::cli {

Result<BenchRun> measure_throughput(BenchInstallation& bench, const BenchCommand& command) {
  const auto before = bench.succeeded();
  if (!before) return before.error();
  const std::string packed = bench_event(command.size);
  const std::int64_t started = monotonic_ns();
  BenchPublishers publishers(bench.broker(), packed, command);
  auto done = bench.wait_succeeded(*before + static_cast<std::int64_t>(command.events));
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
