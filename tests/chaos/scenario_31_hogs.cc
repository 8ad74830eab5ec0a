// Functions that take all there is: memory, processes, open files, output. Each is to lose its own
// attempt and be told why; the others do not notice.
//
// Everything here is bounded by itself: so much memory, so many processes, which end after ten
// seconds whatever happens.
#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <random>

#include "tests/chaos/figures.h"
#include "tests/chaos/process_watch.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

struct Hog {
  std::string_view does;
  std::string_view told_as;  // the type of its failure; empty: it may succeed, too
};
// The memory of an instance is 64 MiB; it may open 1024 files.
constexpr std::array kHogs{Hog{"hog 300", "OutOfMemory"}, Hog{"bomb 1500", "OutOfMemory"},
                           Hog{"fds", "NoMoreFiles"}, Hog{"print 1024", ""}};

std::uintmax_t bytes_of_logs(const Rig& rig) {
  std::uintmax_t bytes = 0;
  for (const char* const name : {"worker-0.log", "broker.log"}) {
    std::error_code error;
    const auto size = std::filesystem::file_size(rig.file(name), error);
    if (!error) bytes += size;
  }
  return bytes;
}

Outcome run_hogs(const Run& run) {
  RigOptions options;
  options.slots = 4;
  // In the control a hog succeeds, however slow the machine is at giving it memory.
  options.manifest =
      fmt::format("timeout = \"{}\"\nmemory = \"64MiB\"\n[retry]\nprofile = \"none\"\n",
                  run.control ? "20s" : "3s");
  if (run.without()) options.worker_without = "limit_memory";
  Rig rig(options);
  rig.need_cgroups();
  std::mt19937_64 random(run.seed);

  const int rounds = run.lengthy ? 10 : 1;
  const double seconds = run.control ? 0.5 : 2.0 * rounds;
  rig.publish({.rate = 200, .seconds = seconds, .seed = run.seed, .mix = {{"ok", 1}}});
  Outcome outcome;
  std::map<Tag, Hog> hogs;
  for (int round = 0; round < rounds; ++round) {
    auto order = kHogs;
    std::shuffle(order.begin(), order.end(), random);
    for (const Hog& hog : order) {
      if (run.control && hog.does != kHogs[0].does) continue;
      const Publication& one = rig.publish(
          {.rate = 10, .seconds = 0.1, .seed = run.seed, .mix = {{std::string(hog.does), 1}}});
      hogs[one.first_tag] = hog;
      ++outcome.times;
      rig.run_for(std::chrono::milliseconds{100 + random() % 200});
    }
    if (rounds > 1) rig.run_for(1s);
  }
  rig.come_to_rest(20s);
  // Whoever the bombs have made must go with them.
  ProcessWatch processes;
  double made = 0;
  for (const BirthRecord& one : rig.births()) {
    if (one.kind != BirthRecord::kLeft) continue;
    processes.watch(one.pid);
    ++made;
  }
  rig.run_until(
      [&] {
        processes.look();
        return processes.alive().empty();
      },
      1s);
  const auto survivors = processes.alive();
  const auto logs = bytes_of_logs(rig);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();

  History& history = outcome.history;
  double otherwise = 0;
  for (const Ended& one : history.ended) {
    const auto hog = hogs.find(one.tag);
    if (hog == hogs.end()) continue;
    for (const protocol::AttemptRow& row : one.attempts) {
      // On a busy machine its time may be up first.
      const bool fine = hog->second.told_as == row.error_type || row.error_type == "Timeout" ||
                        (hog->second.told_as.empty() && row.error_type == "OutOfMemory");
      if (fine && one.letters == (row.outcome == protocol::Outcome::kOk ? 0u : 1u)) continue;
      ++otherwise;
      outcome.logs +=
          fmt::format("{} ended as {} {}: {}\n", hog->second.does, protocol::to_string(row.outcome),
                      row.error_type, row.error_message);
    }
  }
  std::vector<double> waits;
  std::map<Tag, std::int64_t> done;
  for (const Execution& one : history.executions) done[one.tag] = one.ended_ns;
  for (const Submission& one : history.submissions) {
    if (hogs.contains(one.tag) || done[one.tag] == 0) continue;
    waits.push_back(static_cast<double>(done[one.tag] - one.invoked_ns) / 1e6);
  }
  history.bounds.push_back({.of = Bounded::Of::kResource,
                            .what = "hogs that did not end as they must",
                            .value = otherwise,
                            .at_most = 0});
  history.bounds.push_back({.of = Bounded::Of::kResource,
                            .what = "processes that outlived their bomb",
                            .value = static_cast<double>(survivors.size()),
                            .at_most = 0});
  history.bounds.push_back({.of = Bounded::Of::kResource,
                            .what = "bytes of logs",
                            .value = static_cast<double>(logs),
                            .at_most = 8e6 * rounds});
  history.bounds.push_back({.of = Bounded::Of::kTime,
                            .what = "ms that half of the others waited",
                            .value = quantile(waits, 0.5),
                            .at_most = run.lengthy ? 50.0 : 500.0});
  outcome.figures = {{"ms that others waited, p50", quantile(waits, 0.5)},
                     {"p99", quantile(waits, 0.99)},
                     {"processes that bombs made", made},
                     {"bytes of logs", static_cast<double>(logs)}};
  for (const pid_t pid : survivors) kill(pid, SIGKILL);
  return outcome;
}

}  // namespace

Scenario hogs() {
  return {.number = 31,
          .name = "hogs",
          .injected = "functions that take memory, processes and files, and write 1 GiB of output",
          .without = "the limit of memory",
          .bites = {Invariant::kResources},
          .own_faults = true,
          .run = run_hogs};
}

}  // namespace fanfare::chaos
