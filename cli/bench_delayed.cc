#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "cli/bench.h"
#include "cli/bench_publishers.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;

// How far ahead they are due: all must have been acknowledged by then.
Duration ahead_of(const BenchCommand& command) {
  if (command.ahead != Duration::zero()) return command.ahead;
  constexpr std::uint64_t kSlowestPerMs = 25;
  return 1s + std::chrono::milliseconds{command.events / kSlowestPerMs};
}

std::int64_t wall_ms(std::chrono::system_clock::time_point at) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

}  // namespace

Result<BenchRun> measure_delayed(BenchInstallation& bench, const BenchCommand& command) {
  const auto before = bench.succeeded();
  if (!before) return before.error();
  const auto ahead = std::chrono::ceil<std::chrono::milliseconds>(ahead_of(command));
  const auto due = std::chrono::system_clock::now() + ahead;
  const std::string packed = bench_event(command.size, wall_ms(due));
  const std::int64_t started = monotonic_ns();
  BenchPublishers publishers(bench.broker(), packed, command);
  auto acknowledged = publishers.wait();
  if (!acknowledged) return acknowledged.error();
  if (std::chrono::system_clock::now() >= due) {
    return reject(
        fmt::format("{} events were not acknowledged in {} ms, when they were due; make "
                    "it more with --ahead",
                    command.events, ahead.count()));
  }
  if (const auto early = bench.succeeded(); !early || *early != *before) {
    return early ? fatal("some ran before they were due") : early.error();
  }
  std::this_thread::sleep_until(due);
  const std::int64_t due_ns = monotonic_ns();
  auto done = bench.wait_succeeded(*before + static_cast<std::int64_t>(command.events));
  const std::int64_t ended = monotonic_ns();
  if (!done) return done.error();
  const auto per_second = [&](std::int64_t from, std::int64_t to) {
    return static_cast<double>(command.events) / (static_cast<double>(to - from) / 1e9);
  };
  return BenchRun{per_second(started, acknowledged->last_ns), per_second(due_ns, ended),
                  percentiles(acknowledged->latency_us)};
}

}  // namespace fanfare::cli
