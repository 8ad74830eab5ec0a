// One run of each kind of measurement; bench.cc repeats them and prints the medians.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/bench_installation.h"
#include "cli/bench_processor_time.h"

namespace fanfare::cli {

struct Percentiles {
  double p50 = 0, p99 = 0, p999 = 0;
};
// Sorts its argument; zeros if there are none.
Percentiles percentiles(std::vector<double>& values);

// One hop of an event's way.
struct HopRow {
  const char* name;  // what happens meanwhile
  Percentiles us;
  std::size_t events = 0;  // that passed both its ends
};

struct BenchRun {
  double publish_per_s = 0;     // acknowledged
  double end_to_end_per_s = 0;  // result committed
  Percentiles latency_us;
  ProcessorTime processor;   // of all events; set by run_bench()
  std::vector<HopRow> hops;  // of latency, if asked for
};

// An event of that type with that much data, packed.
// `deliver_at_ms` is Unix ms; 0 = at once.
std::string bench_event(std::uint64_t size, std::int64_t deliver_at_ms = 0,
                        const std::string& type = kBenchType);
std::int64_t monotonic_ns();
// When the no-op function was entered (CLOCK_MONOTONIC), as the first 8 bytes of its output say,
// little end first; 0 if there are none.
std::int64_t entered_ns(const std::string& output);

// Publishers push as fast as they are acknowledged; latency is that of the acknowledgement.
Result<BenchRun> measure_throughput(BenchInstallation& bench, const BenchCommand& command);
// The same, but all are due at one instant, once all are acknowledged; end_to_end_per_s counts from
// then.
Result<BenchRun> measure_delayed(BenchInstallation& bench, const BenchCommand& command);
// All are acknowledged while the function is paused; end_to_end_per_s counts from when it goes on.
Result<BenchRun> measure_backlog(BenchInstallation& bench, const BenchCommand& command);
// Events at a steady rate, however long each takes; latency from publish to the handler's first
// line.
Result<BenchRun> measure_latency(BenchInstallation& bench, const BenchCommand& command);
// Synchronous calls, one after the other, by a client or by a function; latency of the round trip.
Result<BenchRun> measure_invoke(BenchInstallation& bench, const BenchCommand& command);
// Events so far apart that each finds no instance; latency from arrival at the worker to the
// handler.
Result<BenchRun> measure_cold_start(BenchInstallation& bench, const BenchCommand& command);

// Has command.queued events wait for a function that is paused.
Result<void> queue_waiting(BenchInstallation& bench, const BenchCommand& command);

}  // namespace fanfare::cli
