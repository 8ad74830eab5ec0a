// Everything at once: events with ordering keys, delays and retries, and batches, for functions
// that write rows and whose ends a destination is told, while an operator cancels, redrives, purges
// and drains with commands that are killed half-way, and broker, workers and Redis are killed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

// What a command has said of the probe's delivery of an event, or of the command itself.
std::string result_of_cancel(const Command& command) {
  const std::string text = command.output();
  const std::size_t begin = text.find('{'), end = text.find('\n', begin);
  if (begin == std::string::npos) return {};
  const auto said = nlohmann::json::parse(text.substr(begin, end - begin), nullptr, false);
  if (!said.is_object()) return {};
  for (const auto& one : said.value("deliveries", nlohmann::json::array())) {
    if (one.value("function", "") == kProbe) return one.value("result", "");
  }
  return {};
}

// The operator, who does something at random, and then something else.
class Operator {
 public:
  Operator(Rig& rig, std::uint64_t seed) : rig_(rig), random_(seed) {}

  void do_something() {
    switch (random_() % 8) {
      case 0:
      case 1:
      case 2:
        return cancel_one();
      case 3:
      case 4:
        return redrive();
      case 5:
        rig_.command({"dlq", "purge", kProbe, "--limit", "2", "--yes"});
        return;
      case 6:
        return drain();
      default:
        if (purges_++ % 4 == 0) rig_.command({"functions", "purge", kProbe, "--yes"});
        return;
    }
  }

  void cancel(const protocol::EventId& id) {
    cancels_.push_back({&rig_.command({"cancel", protocol::to_string(id), kProbe}), id});
  }
  // Some that were stopped in the middle, at an instant of their own.
  void stop_some() {
    for (Command* const one : redrives_) {
      if (one->running() && random_() % 4 == 0) {
        rig_.kill(*one);
        ++stopped_;
      }
    }
  }
  void redrive_all() { redrives_.push_back(&rig_.command({"dlq", "redrive", kProbe})); }
  void drain_also(const std::set<pid_t>& workers) {
    for (std::size_t i = 0; i < rig_.workers(); ++i) {
      const std::string& name = rig_.worker(i).name;
      if (!workers.contains(rig_.worker(i).pid()) || std::ranges::count(drained_, name) > 0)
        continue;
      drained_.push_back(name);
      rig_.command({"workers", "drain", name});
    }
  }
  void end_drains() {
    for (const std::string& worker : std::exchange(drained_, {})) {
      rig_.command({"workers", "resume", worker});
    }
  }
  // For certain: commands may have met no broker, or no such worker.
  void resume_all() {
    std::vector<Command*> commands;
    for (std::size_t i = 0; i < rig_.workers(); ++i) {
      commands.push_back(&rig_.command({"workers", "resume", rig_.worker(i).name}));
    }
    rig_.run_until([&] { return std::ranges::none_of(commands, &Command::running); }, 10s);
  }
  void wait_for_all(Duration at_most) {
    rig_.run_until(
        [&] {
          const auto ended = [](const auto& one) { return !one.first->running(); };
          return std::ranges::all_of(cancels_, ended) &&
                 std::ranges::none_of(redrives_, [](Command* one) { return one->running(); });
        },
        at_most);
  }
  // What was answered, for the history.
  std::vector<Cancel> answered() const {
    std::vector<Cancel> cancels;
    for (const auto& [command, id] : cancels_) {
      if (command->killed || command->running()) continue;
      const std::string result = result_of_cancel(*command);
      if (result == "cancelled" || result == "running_killed") {
        cancels.push_back({id, command->ended_ns});
      }
    }
    return cancels;
  }
  std::size_t stopped() const { return stopped_; }
  std::size_t redrives() const { return redrives_.size(); }

 private:
  // One that was acknowledged lately: it may wait for its time or its key, run, or have ended.
  void cancel_one() {
    std::vector<Submission> sent;
    for (const std::string& log : logs) read_submissions(log, sent);
    std::erase_if(sent, [&](const Submission& one) {
      return one.fate != Submission::Fate::kAccepted ||
             one.answered_ns < Rig::now_ns() - 1'000'000'000;
    });
    if (!sent.empty()) cancel(sent[random_() % sent.size()].id);
  }
  void redrive() {
    std::vector<std::string> words{"dlq", "redrive", kProbe};
    // So slow that it may be stopped in the middle.
    if (random_() % 2 == 0) words.insert(words.end(), {"--rate", "100"});
    redrives_.push_back(&rig_.command(std::move(words)));
  }
  void drain() {
    if (!drained_.empty()) return end_drains();
    drained_.push_back(fmt::format("worker-{}", random_() % rig_.workers()));
    rig_.command({"workers", "drain", drained_.back()});
  }

 public:
  std::vector<std::string> logs;  // of publishers

 private:
  Rig& rig_;
  std::mt19937_64 random_;
  std::vector<std::pair<Command*, protocol::EventId>> cancels_;
  std::vector<Command*> redrives_;
  std::vector<std::string> drained_;
  std::size_t stopped_ = 0, purges_ = 0;
};

// Attempts that run on all workers are cancelled at the same time. A worker that has some is
// drained, so that the next ones go to another.
struct CancelledAtOnce {
  double ms = 0;       // until nothing of it ran
  double workers = 0;  // it ran on so many
  bool gone = false;
};
CancelledAtOnce cancel_on_all_workers(Rig& rig, Operator& by, std::uint64_t seed) {
  std::vector<const Publication*> loads;
  const auto running = [&] {
    std::vector<Execution> all = rig.executions();
    std::erase_if(all, [&](const Execution& one) {
      // Those of the short load at the beginning come after all others.
      return one.tag < loads.front()->first_tag || one.tag > loads.back()->first_tag + 10 ||
             one.ended_ns != 0;
    });
    return all;
  };
  const auto workers = [&] {
    std::set<pid_t> pids;
    for (const Execution& one : running()) pids.insert(one.worker);
    return pids;
  };
  for (std::size_t i = 1; i <= rig.workers(); ++i) {
    loads.push_back(
        &rig.publish({.rate = 200, .seconds = 0.01, .seed = seed + i, .mix = {{"sleep 4500", 1}}}));
    rig.run_until([&] { return rig.published() && workers().size() >= i; }, 2s);
    if (i < rig.workers()) by.drain_also(workers());
    rig.run_for(50ms);
  }
  CancelledAtOnce all;
  all.workers = static_cast<double>(workers().size());
  const std::int64_t from = Rig::now_ns();
  for (const Publication* const load : loads) {
    std::vector<Submission> sent;
    read_submissions(load->log, sent);
    for (const Submission& one : sent) {
      if (one.fate == Submission::Fate::kAccepted) by.cancel(one.id);
    }
  }
  by.end_drains();
  by.wait_for_all(10s);
  all.gone = rig.run_until(
      [&] {
        return std::ranges::all_of(
            running(), [](const Execution& one) { return ::kill(one.instance, 0) != 0; });
      },
      5s);
  all.ms = static_cast<double>(Rig::now_ns() - from) / 1e6;
  return all;
}

Outcome run_everything(const Run& run) {
  RigOptions options;
  options.workers = 3;
  options.destination = true;
  options.env = "CHAOS_ROWS = \"1\"\n";
  options.broker = {{"FANFARE_BROKER_MAX_WORKER_LOSSES", "1000"}};
  // One of them, by the seed: each is to be seen by itself.
  if (run.without()) {
    if (run.seed % 2 == 0) {
      options.sabotage = kNoRedrive;
    } else {
      options.broker_without = "empty_outboxes";
    }
  }
  Rig rig(options);
  std::mt19937_64 random(run.seed);
  Operator by(rig, run.seed + 1);
  const double seconds = run.lengthy ? 60 : 2.5;
  const auto load = [&](Load one) {
    one.seconds = seconds;
    one.seed = run.seed + by.logs.size();
    by.logs.push_back(rig.publish(std::move(one)).log);
  };
  load({.rate = 150,
        .mix = {{"ok", 60},
                {"sleep 5", 20},
                {"fail 1", 8},
                {"never", 6},
                {"crash 1", 2},
                {"later 700", 4}}});
  load({.rate = 80,
        .mix = {{"ok", 70}, {"sleep 10", 15}, {"fail 1", 10}, {"never", 5}},
        .ordering_keys = 12});
  load({.rate = 80, .mix = {{"ok", 9}, {"never", 1}}, .delay_ms = 1700});

  // And batches, which fill whole entries of the journal.
  by.logs.push_back(rig.publish({.rate = 8000,
                                 .seconds = 0.04,
                                 .seed = run.seed,
                                 .mix = {{"ok", 8}, {"never", 1}, {"later 400", 1}}})
                        .log);

  Outcome outcome;
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  // Redis takes the longest to be there again.
  const std::size_t redis_kills = run.lengthy ? 20 : 1;
  std::size_t redis_killed = 0;
  while (std::chrono::steady_clock::now() < until) {
    rig.run_for(std::chrono::milliseconds{40 + random() % 60});
    by.do_something();
    by.stop_some();
    switch (random() % 10) {
      case 0:
        rig.kill(rig.broker());
        ++outcome.times;
        break;
      case 1:
      case 2:
        rig.kill(rig.worker(random() % rig.workers()));
        ++outcome.times;
        break;
      case 3:
        if (redis_killed++ < redis_kills) rig.restart_redis();
        break;
      default:
        break;
    }
  }
  by.end_drains();
  rig.run_until([&] { return rig.published(); }, 30s);
  by.redrive_all();  // also what died after the last one; and some of that dies again
  by.wait_for_all(15s);
  // A control never comes to rest.
  const auto patience = run.without() ? 2s : 40s;
  rig.come_to_rest(patience);
  by.resume_all();
  const auto at_once = cancel_on_all_workers(rig, by, run.seed);
  by.wait_for_all(15s);
  rig.come_to_rest(patience);
  outcome.history = rig.collect();
  outcome.logs = rig.logs();

  History& history = outcome.history;
  history.writes_rows = true;
  history.cancels = by.answered();
  double redriven = 0;
  for (const Change& one : history.changes) {
    redriven += one.kind == Change::Kind::kRedriven ? 1 : 0;
  }
  history.bounds.push_back({.of = Bounded::Of::kTime,
                            .what = "ms until what was cancelled on all workers was gone",
                            .value = at_once.gone ? at_once.ms : 1e6,
                            .at_most = 10'000});
  history.bounds.push_back({.of = Bounded::Of::kTime,
                            .what = "workers that had none of it",
                            .value = static_cast<double>(rig.workers()) - at_once.workers,
                            .at_most = 1});
  outcome.figures = {
      {"cancellations that were answered as such", static_cast<double>(history.cancels.size())},
      {"letters redriven", redriven},
      {"redrives", static_cast<double>(by.redrives())},
      {"of these killed before they ended", static_cast<double>(by.stopped())},
      {"ms until what was cancelled on all workers was gone", at_once.ms}};
  return outcome;
}

}  // namespace

Scenario everything() {
  return {
      .number = 43,
      .name = "everything at once",
      .injected =
          "keys, delays, retries, rows and destinations; SIGKILL of broker, workers, Redis and of "
          "commands that redrive, besides those that cancel, purge and drain",
      .without =
          "deleting what an outbox has handed on (even seeds: the row that a letter "
          "becomes when it is redriven)",
      .bites = {Invariant::kOneCommit, Invariant::kNoLoss},
      .run = run_everything};
}

}  // namespace fanfare::chaos
