// chaos --list
//       | --scenario N [--seed S] [--control | --self-check] [--long] [--logs] [--keep FOLDER]
//       | --table [--scenario N] [--seed S] [--long] [--into FILE]
//
// Runs a scenario and checks its history; see scenario.h. Exit code 0: everything held (with
// --control: the checker noticed). 1: not. 2: wrong usage. 77: not possible on this machine.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>

#include "tests/chaos/checker.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"
#include "tests/chaos/table.h"

namespace {

using namespace fanfare::chaos;

constexpr int kSkipped = 77;

struct Arguments {
  bool list = false, table = false, logs = false;
  int scenario = 0;
  std::string into, keep;
  Run run;
};

int run_one(const Scenario& scenario, const Run& run, bool logs) {
  const std::string replay = fmt::format("build/release/tests/chaos --scenario {} --seed {}{}{}",
                                         scenario.number, run.seed,
                                         run.self_check ? " --self-check"
                                         : run.control  ? " --control"
                                                        : "",
                                         run.lengthy ? " --long" : "");
  fmt::print("{} {}{}: {}\n", scenario.number, scenario.name,
             run.self_check ? ", its control with every protection on"
             : run.control  ? ", control without " + scenario.without
                            : "",
             replay);
  std::fflush(stdout);
  const auto started = std::chrono::steady_clock::now();
  const Judged judged = judge(scenario, run);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  fmt::print("injected {} times in {:.1f} s; {}", judged.outcome.times, took.count(),
             describe(judged.verdict));
  for (const Figure& figure : judged.outcome.figures) {
    fmt::print("  {}: {:.1f}\n", figure.what, figure.value);
  }
  fmt::print("{}\n", judged.why.empty() ? "as it must be" : "FAILED: " + judged.why);
  if (!judged.why.empty() || logs) fmt::print("{}\nagain: {}\n", judged.outcome.logs, replay);
  return judged.why.empty() ? 0 : 1;
}

int write_table(const std::vector<Scenario>& scenarios, const Arguments& arguments) {
  const Table table = make_table(scenarios, arguments.run);
  fmt::print("{}", table.markdown);
  if (!arguments.into.empty() && !put_into(arguments.into, table.markdown)) {
    fmt::print(stderr, "chaos: {} has no lines that say where a table begins and ends\n",
               arguments.into);
    return 2;
  }
  return table.as_it_must_be ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Hurts real brokers, workers and Redis, and checks that every promise holds."};
  Arguments arguments;
  arguments.run.seed = 0;
  app.add_flag("--list", arguments.list, "the scenarios there are");
  app.add_flag("--logs", arguments.logs, "the last lines of each process, also if all is well");
  app.add_flag("--table", arguments.table, "runs all with their controls; a table for the docs");
  app.add_option("--keep", arguments.keep, "a folder for copies of all logs and Redis' file");
  app.add_option("--into", arguments.into, "the document that --table goes into");
  app.add_option("--scenario", arguments.scenario, "the one to run, by number");
  app.add_option("--seed", arguments.run.seed, "everything random comes from it (default: new)");
  auto* const control =
      app.add_flag("--control", arguments.run.control, "without the protection: must be noticed");
  app.add_flag("--self-check", arguments.run.self_check,
               "what the control does, with the protection: must hold")
      ->excludes(control);
  app.add_flag("--long", arguments.run.lengthy, "as long as the figures need");
  CLI11_PARSE(app, argc, argv);
  // Where the control's faults are the run's, the run is its own check.
  arguments.run.control |= arguments.run.self_check;
  if (arguments.run.seed == 0) arguments.run.seed = std::random_device{}() % 1'000'000 + 1;

  if (!arguments.keep.empty()) setenv(kKeepVariable, arguments.keep.c_str(), 1);
  auto all = scenarios();
  if (arguments.table && arguments.scenario != 0) {
    std::erase_if(all, [&](const Scenario& one) { return one.number != arguments.scenario; });
  }
  if (arguments.list) {
    for (const Scenario& one : all) {
      fmt::print("{:3}  {}: {}; control without {}\n", one.number, one.name, one.injected,
                 one.without);
    }
    return 0;
  }
  try {
    if (arguments.table) return write_table(all, arguments);
    const auto found = std::find_if(all.begin(), all.end(), [&](const Scenario& one) {
      return one.number == arguments.scenario;
    });
    if (found == all.end()) {
      fmt::print(stderr, "chaos: there is no scenario {}; see --list\n", arguments.scenario);
      return 2;
    }
    return run_one(*found, arguments.run, arguments.logs);
  } catch (const CannotHere& reason) {
    fmt::print("not run: {}\n", reason.what());
    return kSkipped;
  } catch (const std::exception& problem) {
    fmt::print("FAILED: {}\n", problem.what());
    return 1;
  }
}
