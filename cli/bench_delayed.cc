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

double per_second(std::uint64_t events, std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<double>(events) / (static_cast<double>(to_ns - from_ns) / 1e9);
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
  const std::int64_t started = monotonic_ns();
  BenchPublishers publishers(bench.broker(), {bench_event(command.size, wall_ms(due))}, command);
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
  return BenchRun{per_second(command.events, started, acknowledged->last_ns),
                  per_second(command.events, due_ns, ended), percentiles(acknowledged->latency_us)};
}

Result<BenchRun> measure_backlog(BenchInstallation& bench, const BenchCommand& command) {
  const auto before = bench.succeeded();
  if (!before) return before.error();
  if (auto paused = bench.tell("pause", kBenchFunction); !paused) return paused.error();
  const std::int64_t started = monotonic_ns();
  BenchPublishers publishers(bench.broker(), {bench_event(command.size)}, command);
  const auto acknowledged = publishers.wait();
  if (!acknowledged) return acknowledged.error();
  if (const auto early = bench.succeeded(); !early || *early != *before) {
    return early ? fatal("some ran while the function was paused") : early.error();
  }
  const std::int64_t resumed_at = monotonic_ns();
  if (auto resumed = bench.tell("resume", kBenchFunction); !resumed) return resumed.error();
  auto done = bench.wait_succeeded(*before + static_cast<std::int64_t>(command.events));
  const std::int64_t ended = monotonic_ns();
  if (!done) return done.error();
  auto latency_us = acknowledged->latency_us;
  return BenchRun{per_second(command.events, started, acknowledged->last_ns),
                  per_second(command.events, resumed_at, ended), percentiles(latency_us)};
}

Result<void> queue_waiting(BenchInstallation& bench, const BenchCommand& command) {
  if (command.queued == 0) return {};
  if (auto deployed = bench.deploy_waiting(); !deployed) return deployed.error();
  BenchCommand queue = command;
  queue.events = command.queued;
  BenchPublishers publishers(bench.broker(), {bench_event(command.size, 0, kBenchWaiting)}, queue);
  const auto acknowledged = publishers.wait();
  if (!acknowledged) return acknowledged.error();
  return {};
}

}  // namespace fanfare::cli
