// Functions that never answer, in every way there is, among others that do.
//
// An attempt has its timeout, then SIGTERM, then a grace of one second (the worker's), then
// SIGKILL: it must be over right after that, whatever it does or does not do.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <random>
#include <set>

#include "tests/chaos/figures.h"
#include "tests/chaos/process_watch.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kTimeoutNs = 300'000'000, kGraceNs = 1'000'000'000;

struct Way {
  std::string_view verb;
  bool deaf;  // SIGTERM does not end it
};
constexpr std::array kWays{Way{"hang", true}, Way{"burn", true}, Way{"stop", true},
                           Way{"vfork", true}, Way{"read", false}};

// Holds one process still so that not even SIGKILL moves it: as a dead disk or network file system
// does. Where there is no freezer of cgroup v1 nothing is held.
class Freezer {
 public:
  Freezer() {
    if (mkdir(folder_.c_str(), 0700) != 0) folder_.clear();
  }
  ~Freezer() {
    if (folder_.empty()) return;
    thaw();
    // It leaves with its processes.
    for (int i = 0; i < 100 && rmdir(folder_.c_str()) != 0; ++i) usleep(10'000);
  }
  Freezer(const Freezer&) = delete;
  Freezer& operator=(const Freezer&) = delete;

  bool freeze(pid_t pid) const {
    return !folder_.empty() && write("/cgroup.procs", fmt::format("{}", pid)) &&
           write("/freezer.state", "FROZEN");
  }
  void thaw() const { write("/freezer.state", "THAWED"); }

 private:
  bool write(const char* file, std::string_view text) const {
    std::ofstream out(folder_ + file);
    out << text << std::flush;
    return out.good();
  }
  std::string folder_ = fmt::format("/sys/fs/cgroup/freezer/fanfare-chaos-{}", getpid());
};

struct Hung {
  Execution execution;
  bool deaf = false;
  std::int64_t frozen_until_ns = 0;
  // When it must be over.
  std::int64_t due_ns() const {
    return std::max(execution.began_ns + kTimeoutNs + (deaf ? kGraceNs : 0), frozen_until_ns);
  }
};

class HungOnes {
 public:
  explicit HungOnes(Rig& rig) : rig_(rig) {}

  void publish(const Way& way, std::uint64_t seed) {
    const Publication& one = rig_.publish(
        {.rate = 10, .seconds = 0.1, .seed = seed, .mix = {{std::string(way.verb), 1}}});
    tags_[one.first_tag] = way;
  }

  // Whoever hangs by now is watched; nobody may be alive so long after his time. Returns false if
  // someone is: nothing is to be waited for any more.
  bool look(std::int64_t overdue_ns) {
    const std::int64_t now = Rig::now_ns();
    if (now > read_at_ns_ + 20'000'000) read(now);
    processes_.look();

    return std::none_of(all_.begin(), all_.end(), [&](const Hung& one) {
      return processes_.ended_ns(one.execution.instance) == 0 && now > one.due_ns() + overdue_ns;
    });
  }

  std::vector<Hung>& all() { return all_; }
  // With its process group, as the worker should have done.
  void end_all() const {
    for (const pid_t pid : processes_.alive()) kill(-pid, SIGKILL);
  }
  bool is_one(Tag tag) const { return tags_.contains(tag); }
  // Milliseconds past its time; those that live are as late as anything.
  double ms_late(const Hung& one) const {
    const std::int64_t ended = processes_.ended_ns(one.execution.instance);
    return ended == 0 ? 1e6 : static_cast<double>(ended - one.due_ns()) / 1e6;
  }

 private:
  void read(std::int64_t now) {
    read_at_ns_ = now;
    for (const Execution& one : rig_.executions()) {
      const auto way = tags_.find(one.tag);
      if (way == tags_.end() || !seen_.insert(one.nonce).second) continue;
      all_.push_back({.execution = one, .deaf = way->second.deaf});
      processes_.watch(one.instance);
    }
  }

  Rig& rig_;
  std::int64_t read_at_ns_ = 0;
  std::map<Tag, Way> tags_;
  std::set<std::uint64_t> seen_;
  std::vector<Hung> all_;
  ProcessWatch processes_;
};

// How long the others waited until they had run, milliseconds.
std::vector<double> waits_of_others(const History& history, const HungOnes& hung) {
  std::map<Tag, std::int64_t> done;
  for (const Execution& one : history.executions) {
    if (one.ended_ns > 0) done[one.tag] = one.ended_ns;
  }
  std::vector<double> waits;
  for (const Submission& one : history.submissions) {
    if (hung.is_one(one.tag) || one.fate != Submission::Fate::kAccepted) continue;
    const auto at = done.find(one.tag);
    if (at != done.end()) {
      waits.push_back(static_cast<double>(at->second - one.invoked_ns) / 1e6);
    }
  }
  return waits;
}

Outcome run_hung(const Run& run) {
  RigOptions options;
  options.slots = 8;
  options.manifest = "timeout = \"300ms\"\n[retry]\nprofile = \"none\"\n";
  if (run.without()) options.worker_without = "kill_after_grace";
  Freezer freezer;
  Rig rig(options);
  HungOnes hung(rig);
  std::mt19937_64 random(run.seed);

  const int rounds = run.lengthy ? 12 : 1;
  rig.publish({.rate = 300, .seconds = 2.5 * rounds, .seed = run.seed, .mix = {{"ok", 1}}});
  Outcome outcome;
  bool on_time = true;
  std::size_t frozen = 0;
  constexpr std::int64_t kOverdueNs = 1'000'000'000;
  const auto look = [&] { return !(on_time = hung.look(kOverdueNs)); };
  for (int round = 0; round < rounds && on_time; ++round) {
    auto ways = kWays;
    std::shuffle(ways.begin(), ways.end(), random);
    const std::size_t before = hung.all().size();
    for (const Way& way : ways) {
      hung.publish(way, run.seed);
      rig.run_until(look, std::chrono::milliseconds{random() % 50});
    }
    // One of them is held still until long after it should have been killed.
    rig.run_until([&] { return look() || hung.all().size() > before; }, 2s);
    if (hung.all().size() > before) {
      Hung& victim = hung.all()[before];
      if (freezer.freeze(victim.execution.instance)) {
        ++frozen;
        victim.frozen_until_ns = victim.execution.began_ns + kTimeoutNs + 3 * kGraceNs / 2;
        rig.run_until([&] { return look() || Rig::now_ns() >= hung.all()[before].frozen_until_ns; },
                      5s);
        freezer.thaw();
        hung.all()[before].frozen_until_ns = Rig::now_ns();
      }
    }
    if (round + 1 < rounds) rig.run_until(look, 1500ms);
  }
  const auto all_over = [&] {
    const Counts now = rig.counts();
    return rig.published() && now.open == 0 && now.later == 0;
  };
  rig.run_until([&] { return look() || all_over(); }, 20s);
  std::vector<double> late;
  for (const Hung& one : hung.all()) late.push_back(hung.ms_late(one));
  // In the control the rest goes on as if the worker had done it.
  rig.run_until(
      [&] {
        if (!hung.look(on_time ? kOverdueNs : 0)) hung.end_all();
        return all_over();
      },
      20s);
  rig.come_to_rest(1s);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();

  History& history = outcome.history;
  for (const Hung& one : hung.all()) {
    // What may cost an attempt, for the checker.
    history.faults.push_back({.what = "it hangs",
                              .pid = one.execution.instance,
                              .from_ns = one.execution.began_ns,
                              .to_ns = one.due_ns() + kGraceNs});
  }
  outcome.times = hung.all().size();
  double otherwise = 0;
  for (const Ended& one : history.ended) {
    if (!hung.is_one(one.tag)) continue;
    for (const protocol::AttemptRow& row : one.attempts) {
      otherwise += row.outcome == protocol::Outcome::kTimeout ? 0 : 1;
    }
  }
  const std::vector<double> waits = waits_of_others(history, hung);
  // The rest is a busy machine's.
  history.bounds.push_back({.of = Bounded::Of::kTime,
                            .what = "ms from the end of its grace until a hung one was gone",
                            .value = quantile(late, 1),
                            .at_most = run.lengthy ? 50.0 : 500.0});
  history.bounds.push_back({.of = Bounded::Of::kResource,
                            .what = "hung attempts that are not told as timeout",
                            .value = otherwise,
                            .at_most = 0});
  history.bounds.push_back({.of = Bounded::Of::kTime,
                            .what = "ms that half of the others waited",
                            .value = quantile(waits, 0.5),
                            .at_most = run.lengthy ? 50.0 : 500.0});
  outcome.figures = {
      {"attempts that were frozen", static_cast<double>(frozen)},
      {"ms from the end of its grace until a hung one was gone, p50", quantile(late, 0.5)},
      {"at most", quantile(late, 1)},
      {"ms that others waited, p50", quantile(waits, 0.5)},
      {"p99", quantile(waits, 0.99)},
      {"at most ", quantile(waits, 1)}};
  return outcome;
}

}  // namespace

Scenario hung() {
  return {.number = 11,
          .name = "hung functions",
          .injected =
              "handlers that wait, compute, are stopped, frozen, or blocked, and are deaf to "
              "SIGTERM",
          .without = "SIGKILL after the grace",
          .bites = {Invariant::kLiveness},
          .run = run_hung};
}

}  // namespace fanfare::chaos
