// Many seeds, on several threads; each run is alone in its world.
#pragma once

#include <cstdint>
#include <optional>

#include "tests/simulation/simulation.h"

namespace fanfare::simulation {

struct Sweep {
  std::uint64_t first = 1;
  std::uint64_t seeds = 1;
  std::uint64_t steps = kDefaultSteps;
  Mutation mutation = Mutation::kNone;
  unsigned threads = 2;
};

struct SweepResult {
  std::uint64_t runs = 0, steps = 0, calls = 0, deliveries = 0, executions = 0;
  // The violation found first; its trace has been kept.
  std::optional<std::uint64_t> seed;
  Report found;
};

// Stops at the first violation.
SweepResult sweep(const Sweep& sweep);

// Everything a person needs: what, where, how to see it again, what happened last.
std::string describe(const Sweep& sweep, const SweepResult& result);

}  // namespace fanfare::simulation
