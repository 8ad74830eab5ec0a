// simulation --seeds N --first S --steps M [--mutation NAME] [--threads T] [--verbose]
//
// Runs N seeds; exits 1 at the first violation, with the seed, a replay command and the last lines
// of the trace. --verbose prints every line of every run.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "tests/simulation/sweep.h"

namespace {

using namespace fanfare::simulation;

int usage(std::string_view why) {
  fmt::print(
      stderr,
      "simulation: {}\n"
      "usage: simulation [--seeds N] [--first S] [--steps M] [--mutation NAME] [--threads T] "
      "[--verbose]\nmutations:",
      why);
  for (const auto& known : kMutations) fmt::print(stderr, " {}", known.name);
  fmt::print(stderr, "\n");
  return 2;
}

bool read_number(const char* text, std::uint64_t& value) {
  const char* end = text + std::strlen(text);
  const auto read = std::from_chars(text, end, value);
  return read.ec == std::errc{} && read.ptr == end;
}

}  // namespace

int main(int argc, char** argv) {
  Sweep wanted;
  std::uint64_t threads = wanted.threads;
  bool verbose = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    if (option == "--verbose") {
      verbose = true;
      continue;
    }
    if (i + 1 >= argc) return usage(fmt::format("{} needs a value, or is unknown", option));
    const char* value = argv[++i];
    if (option == "--mutation") {
      const auto mutation = parse_mutation(value);
      if (!mutation) return usage(fmt::format("no mutation is named '{}'", value));
      wanted.mutation = *mutation;
      continue;
    }
    std::uint64_t* number = option == "--seeds"     ? &wanted.seeds
                            : option == "--first"   ? &wanted.first
                            : option == "--steps"   ? &wanted.steps
                            : option == "--threads" ? &threads
                                                    : nullptr;
    if (!number) return usage(fmt::format("unknown option {}", option));
    if (!read_number(value, *number)) return usage(fmt::format("'{}' is not a number", value));
  }
  wanted.threads = static_cast<unsigned>(threads);
  spdlog::set_level(spdlog::level::off);

  if (verbose) {
    for (std::uint64_t n = 0; n < wanted.seeds; ++n) {
      const Options options{wanted.first + n, wanted.steps, wanted.mutation, Tracing::kPrint};
      const Report report = simulate(options);
      fmt::print("seed {}: {}\n", options.seed,
                 report.violation.empty() ? "no violation" : report.violation);
      if (!report.violation.empty()) return 1;
    }
    return 0;
  }
  const SweepResult result = sweep(wanted);
  std::fputs(describe(wanted, result).c_str(), stdout);
  return result.seed ? 1 : 0;
}
