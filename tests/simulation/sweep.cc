#include "tests/simulation/sweep.h"

#include <fmt/format.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

namespace fanfare::simulation {

SweepResult sweep(const Sweep& sweep) {
  SweepResult result;
  std::mutex guard;
  std::atomic<std::uint64_t> next{0};
  std::atomic<bool> stop{false};
  const auto work = [&] {
    for (std::uint64_t n = next++; n < sweep.seeds && !stop; n = next++) {
      const Options options{sweep.first + n, sweep.steps, sweep.mutation, Tracing::kOff};
      const Report report = simulate(options);
      const std::lock_guard lock(guard);
      ++result.runs;
      result.steps += report.steps;
      result.calls += report.calls;
      result.deliveries += report.deliveries;
      result.executions += report.executions;
      if (report.violation.empty() || (result.seed && *result.seed < options.seed)) continue;
      result.seed = options.seed;
      result.found = report;
      stop = true;
    }
  };
  std::vector<std::thread> threads;
  for (unsigned i = 1; i < sweep.threads; ++i) threads.emplace_back(work);
  work();
  for (auto& thread : threads) thread.join();
  if (result.seed) {
    // The same once more, to see how it came to that.
    result.found = simulate({*result.seed, sweep.steps, sweep.mutation, Tracing::kKeep});
  }
  return result;
}

std::string describe(const Sweep& sweep, const SweepResult& result) {
  std::string text =
      fmt::format("{} runs, {} steps, {} calls to Redis, {} deliveries, {} executions\n",
                  result.runs, result.steps, result.calls, result.deliveries, result.executions);
  if (!result.seed) return text;
  const Options options{*result.seed, sweep.steps, sweep.mutation, Tracing::kOff};
  text += fmt::format("seed {}: {}\nreplay: {}\n", *result.seed, result.found.violation,
                      replay_command(options));
  for (const auto& line : result.found.trace) text += "  " + line + "\n";
  return text;
}

}  // namespace fanfare::simulation
