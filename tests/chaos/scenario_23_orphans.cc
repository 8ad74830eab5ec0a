// Worker, broker and zygote are killed one right after the other, in every order, while functions
// leave children and grandchildren behind.
//
// What is promised: zygotes and instances die with their worker. What these have started is in the
// worker's cgroups, wherever it went, and dies when the next worker starts there; so do the
// cgroups. Where a worker may make no cgroups nothing knows of those, and nothing is promised.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <random>
#include <set>

#include "tests/chaos/execution_log.h"
#include "tests/chaos/process_watch.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Folders of cgroups that workers with these numbers have made, but for `others`: pids come round,
// and what lay there before is nobody's of ours.
std::set<fs::path> cgroups_of(const std::function<bool(pid_t)>& worker,
                              const std::set<fs::path>& others = {}) {
  std::set<fs::path> folders;
  std::error_code error;
  const auto options = fs::directory_options::skip_permission_denied;
  // Those of others come and go meanwhile: then it ends early, with an error.
  for (int tries = 0; tries < 100 && (tries == 0 || error); ++tries) {
    for (auto at = fs::recursive_directory_iterator("/sys/fs/cgroup", options, error);
         at != fs::recursive_directory_iterator{}; at.increment(error)) {
      const std::string name = at->path().filename();
      if (!name.starts_with("fanfare-")) continue;
      at.disable_recursion_pending();
      if (worker(std::atoi(name.c_str() + 8)) && !others.contains(at->path())) {
        folders.insert(at->path());
      }
    }
  }
  return folders;
}

void remove_cgroup(const fs::path& folder) {
  std::error_code error;
  for (const auto& leaf : fs::directory_iterator(folder, error)) {
    if (leaf.is_directory(error)) rmdir(leaf.path().c_str());
  }
  rmdir(folder.c_str());
}

// Sockets, and files that are shared by name, that a run has left: in its own directory, and among
// the shared memory that a process of Fanfare would name.
std::size_t files_left(const Rig& rig) {
  std::size_t left = 0;
  std::error_code error;
  for (const auto& one : fs::directory_iterator(fs::path(rig.file("x")).parent_path(), error)) {
    if (one.is_socket(error) && one.path().filename().string().starts_with("broker.ipc")) continue;
    if (one.is_socket(error)) ++left;
  }
  for (const auto& one : fs::directory_iterator("/dev/shm", error)) {
    if (one.path().filename().string().starts_with("fanfare")) ++left;
  }
  return left;
}

// What lies in a worker's cache, file by file.
std::size_t files_cached(const Rig& rig) {
  std::error_code error;
  const fs::recursive_directory_iterator all(rig.file("cache-0"), error);
  return static_cast<std::size_t>(std::distance(fs::begin(all), fs::end(all)));
}

// Who has been born, by what the probe has written down.
class Births {
 public:
  explicit Births(const Rig& rig) : rig_(rig) {}

  void look() {
    processes_.look();
    const std::int64_t now = Rig::now_ns();
    if (now < read_at_ns_ + 20'000'000) return;
    read_at_ns_ = now;
    const auto births = rig_.births();
    for (; seen_ < births.size(); ++seen_) {
      processes_.watch(births[seen_].pid);
      all_.push_back(births[seen_]);
    }
  }
  // Of these workers.
  std::vector<BirthRecord> living(const std::set<pid_t>& workers) const {
    std::vector<BirthRecord> living;
    for (const BirthRecord& one : all_) {
      if (workers.contains(one.worker) && processes_.ended_ns(one.pid) == 0) living.push_back(one);
    }
    return living;
  }
  std::size_t living(pid_t worker, BirthRecord::Kind kind) const {
    const auto all = living(std::set{worker});
    return static_cast<std::size_t>(std::count_if(
        all.begin(), all.end(), [&](const BirthRecord& one) { return one.kind == kind; }));
  }
  void kill_zygote(pid_t worker) const {
    for (const BirthRecord& one : living(std::set{worker})) {
      if (one.kind == BirthRecord::kZygote) kill(one.pid, SIGKILL);
    }
  }

 private:
  const Rig& rig_;
  std::int64_t read_at_ns_ = 0;
  std::size_t seen_ = 0;
  std::vector<BirthRecord> all_;
  ProcessWatch processes_;
};

Outcome run_orphans(const Run& run) {
  RigOptions options;
  options.slots = 4;
  options.broker = {{"FANFARE_BROKER_MAX_WORKER_LOSSES", "1000"}};
  if (run.without()) options.worker_without = "sweep_orphans";
  Rig rig(options);
  rig.need_cgroups();
  Births births(rig);
  const std::size_t cached = files_cached(rig), shared = files_left(rig);
  const auto cgroups_before = cgroups_of([](pid_t) { return true; });
  std::mt19937_64 random(run.seed);

  enum Victim { kWorker, kBroker, kZygote };
  std::array<Victim, 3> order{kWorker, kBroker, kZygote};
  std::vector<std::array<Victim, 3>> orders;
  do orders.push_back(order);
  while (std::next_permutation(order.begin(), order.end()));
  std::shuffle(orders.begin(), orders.end(), random);
  const std::size_t rounds = run.lengthy ? 60 : orders.size();

  rig.publish({.rate = 40,
               .seconds = 300,  // stopped when all have been killed
               .seed = run.seed,
               .mix = {{"brood 20", 1}, {"ok", 1}}});
  Outcome outcome;
  std::set<pid_t> killed;
  double slowest_ms = 0, survivors = 0, left = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    Member& worker = rig.worker(0);
    // There must be somebody to be left behind.
    rig.run_until(
        [&] {
          births.look();
          return worker.running() && births.living(worker.pid(), BirthRecord::kLeft) >= 2;
        },
        5s);
    const pid_t pid = worker.pid();
    left += static_cast<double>(births.living(pid, BirthRecord::kLeft));
    killed.insert(pid);
    for (const Victim victim : orders[round % orders.size()]) {
      if (victim == kWorker) rig.kill(worker);
      if (victim == kBroker) rig.kill(rig.broker());
      if (victim == kZygote) {
        births.kill_zygote(pid);
      }
      rig.run_for(std::chrono::milliseconds{random() % 10});
    }
    const std::int64_t from = Rig::now_ns();
    ++outcome.times;
    const auto all_gone = [&] {
      births.look();
      return births.living(killed).empty();
    };
    // A worker must have been started by then: on a busy machine that takes its time.
    rig.run_until(all_gone, run.lengthy ? 1s : 5s);
    slowest_ms = std::max(slowest_ms, static_cast<double>(Rig::now_ns() - from) / 1e6);
    survivors = static_cast<double>(births.living(killed).size());
    if (survivors > 0) break;
  }
  rig.stop_publishing();
  rig.come_to_rest(20s);
  // Cgroups go a moment after those who were in them.
  const auto left_cgroups = [&] {
    return cgroups_of([&](pid_t pid) { return killed.contains(pid); }, cgroups_before);
  };
  rig.run_until([&] { return survivors > 0 || left_cgroups().empty(); }, 3s);
  const auto cgroups = left_cgroups();
  outcome.history = rig.collect();
  outcome.logs = rig.logs();
  for (const fs::path& folder : cgroups) outcome.logs += fmt::format("left: {}\n", folder.string());
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "processes that outlived their worker",
                                    .value = survivors,
                                    .at_most = 0});
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "cgroups that killed workers have left",
                                    .value = static_cast<double>(cgroups.size()),
                                    .at_most = 0});
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "sockets and shared memory that they have left",
                                    .value = static_cast<double>(files_left(rig)),
                                    .at_most = static_cast<double>(shared)});
  outcome.history.bounds.push_back({.of = Bounded::Of::kResource,
                                    .what = "files in the worker's cache",
                                    .value = static_cast<double>(files_cached(rig)),
                                    .at_most = static_cast<double>(cached)});
  outcome.figures = {{"processes that killed workers left behind", left},
                     {"ms until the last of them was gone, at most", slowest_ms}};
  for (const BirthRecord& one : births.living(killed)) kill(one.pid, SIGKILL);
  usleep(20'000);
  for (const fs::path& folder : cgroups) remove_cgroup(folder);
  return outcome;
}

}  // namespace

Scenario orphans() {
  return {.number = 23,
          .name = "orphans",
          .injected =
              "SIGKILL of worker, broker and zygote in every order; functions leave "
              "children, and grandchildren in sessions of their own",
          .without = "sweeping up after a killed worker",
          .bites = {Invariant::kResources},
          .run = run_orphans};
}

}  // namespace fanfare::chaos
