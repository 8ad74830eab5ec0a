// A worker of another machine is cut off by its network, longer than its lease, and comes back.
//
// What it holds goes to others when the lease is over. It does not know that, runs on, and brings
// its results when the link is there again: they come too late, and count for nothing. Then it
// takes new work. All of it over TCP with CURVE, as the broker demands of whoever is not of its
// machine, its results, too: it has no way to Redis.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "base/zmq_key.h"
#include "tests/chaos/figures.h"
#include "tests/chaos/other_host.h"
#include "tests/chaos/rig.h"
#include "tests/chaos/sabotage.h"
#include "tests/chaos/scenario.h"
#include "tests/support/temp_dir.h"

namespace fanfare::chaos {
namespace {

using namespace std::chrono_literals;

constexpr const char* kBroker = "tcp://10.44.0.1:7400";
constexpr std::size_t kFar = 0;  // of the two workers

// The broker's keys and the far worker's, as files.
struct Keys {
  Keys() {
    const auto of_broker = KeyPair::make(), of_worker = KeyPair::make();
    const auto wrote = write_secret_key(broker_file, of_broker->secret);
    const auto wrote_too = write_secret_key(worker_file, of_worker->secret);
    if (!wrote || !wrote_too) throw std::runtime_error("cannot write keys");
    broker_key = of_broker->open.text();
    std::ofstream(allowed_file) << of_worker->open.text() << " worker far\n";
  }
  test::TempDir dir;
  const std::string broker_file = dir.file("broker.key"), worker_file = dir.file("worker.key"),
                    allowed_file = dir.file("allowed_keys");
  std::string broker_key;
};

void set(Variables& variables, const std::string& name, const std::string& value) {
  std::erase_if(variables, [&](const auto& one) { return one.first == name; });
  variables.emplace_back(name, value);
}

RigOptions options_for(const Run& run, const OtherHost& other, const Keys& keys) {
  RigOptions options;
  options.workers = 2;
  options.slots = 4;
  options.manifest = "timeout = \"60s\"\n[retry]\nmax_attempts = 5\nbase = \"10ms\"\n";
  options.broker = {{"FANFARE_BROKER_LISTEN", kBroker},
                    {"FANFARE_BROKER_CURVE_SECRET_KEY_FILE", keys.broker_file},
                    {"FANFARE_BROKER_ALLOWED_KEYS", keys.allowed_file},
                    {"FANFARE_BROKER_HEARTBEAT", run.lengthy ? "2s" : "300ms"},
                    {"FANFARE_BROKER_LEASE", run.lengthy ? "30s" : "3s"}};
  options.adjust_worker = [&other, &keys](std::size_t number, Member& worker) {
    if (number != kFar) return;
    worker.command = other.there(worker.command);
    set(worker.environment, "FANFARE_WORKER_BROKER", kBroker);
    set(worker.environment, "FANFARE_WORKER_BROKER_KEY", keys.broker_key);
    set(worker.environment, "FANFARE_WORKER_CURVE_SECRET_KEY_FILE", keys.worker_file);
    set(worker.environment, "FANFARE_WORKER_REDIS", "broker");
  };
  if (run.without()) options.sabotage = kNoTokens;
  return options;
}

bool log_says(const Rig& rig, std::string_view what) {
  std::ifstream in(rig.file("worker-0.log"));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return text.find(what) != std::string::npos;
}

class Cut {
 public:
  Cut(Rig& rig, OtherHost& other, const Run& run)
      : rig_(rig), other_(other), run_(run), lease_(run.lengthy ? 30s : 3s) {}

  void go() {
    const auto down_for = 2 * lease_;
    // Half of a lease: begun before the cut they end within it, and run anew they end within it,
    // too.
    const std::string long_one = fmt::format("sleep {}", lease_ / 2 / 1ms);
    rig_.publish({.rate = 40,
                  .seconds = std::chrono::duration<double>(down_for + 4s).count(),
                  .seed = run_.seed,
                  .mix = {{"ok", 1}}});
    // Its function comes to it by the broker. Until it is ready all goes to the other one.
    rig_.run_until([this] { return has_run_far(); }, 30s);
    rig_.publish({.rate = 200, .seconds = 0.04, .seed = run_.seed, .mix = {{long_one, 1}}});
    rig_.run_until([this] { return running_far().size() >= 2; }, 5s);
    held_ = running_far();
    cut_ns_ = Rig::now_ns();
    other_.unplug();
    rig_.run_until([&] { return Rig::now_ns() - cut_ns_ >= down_for.count(); }, 2 * down_for);
    for (const Execution& one : rig_.executions()) {
      if (held_.contains(one.id) && one.worker != rig_.worker(kFar).pid()) {
        moved_.insert(one.id);
        first_moved_ns_ = std::min(first_moved_ns_, one.began_ns);
      }
    }
    other_.plug_in();
    mended_ns_ = Rig::now_ns();
    rig_.note_fault("the network cut", cut_ns_);
    // In the control they are taken, and nobody says so.
    rig_.run_until([this] { return log_says(rig_, "came too late"); }, run_.without() ? 4s : 20s);
    // More than one worker takes ahead of its slots: it gets what is too much for the warmer one.
    rig_.publish({.rate = 200, .seconds = 1, .seed = run_.seed, .mix = {{"sleep 200", 1}}});
    rig_.run_until([this] { return back_at().has_value(); }, 20s);
  }

  std::size_t moved() const { return moved_.size(); }
  std::size_t held() const { return held_.size(); }

  std::vector<Bounded> bounds() const {
    const auto back = back_at();
    const double lease_ms = static_cast<double>(lease_ / 1ms);
    return {{.of = Bounded::Of::kResource,
             .what = "deliveries of the cut off worker that nobody else had run by the end of it",
             .value = static_cast<double>(held_.size() - moved_.size()),
             .at_most = 0},
            {.of = Bounded::Of::kTime,
             .what = "ms from the cut until the first of them ran elsewhere",
             .value = static_cast<double>(first_moved_ns_ - cut_ns_) / 1e6,
             .at_most = lease_ms + 2000},
            {.of = Bounded::Of::kResource,
             .what = "late results missing that were to be fenced",
             .value = log_says(rig_, "came too late") ? 0.0 : 1.0,
             .at_most = 0},
            {.of = Bounded::Of::kTime,
             .what = "ms from the link's return until the worker ran something new",
             .value = back ? static_cast<double>(*back - mended_ns_) / 1e6 : 1e6,
             .at_most = 15'000}};
  }

 private:
  bool has_run_far() const {
    return std::ranges::any_of(rig_.executions(), [this](const Execution& one) {
      return one.worker == rig_.worker(kFar).pid();
    });
  }
  std::set<protocol::EventId> running_far() const {
    std::set<protocol::EventId> ids;
    for (const Execution& one : rig_.executions()) {
      if (one.worker == rig_.worker(kFar).pid() && one.ended_ns == 0) ids.insert(one.id);
    }
    return ids;
  }
  std::optional<std::int64_t> back_at() const {
    for (const Execution& one : rig_.executions()) {
      if (one.worker == rig_.worker(kFar).pid() && one.began_ns > mended_ns_ && mended_ns_ > 0) {
        return one.began_ns;
      }
    }
    return std::nullopt;
  }

  Rig& rig_;
  OtherHost& other_;
  const Run& run_;
  const Duration lease_;
  std::set<protocol::EventId> held_, moved_;
  std::int64_t cut_ns_ = 0, mended_ns_ = 0, first_moved_ns_ = INT64_MAX;
};

Outcome run_network_cut(const Run& run) {
  OtherHost other;
  const Keys keys;
  Rig rig(options_for(run, other, keys));
  if (!rig.run_until([&rig] { return log_says(rig, "joined the broker"); }, 20s)) {
    throw std::runtime_error("the far worker does not join\n" + rig.logs());
  }
  Cut cut(rig, other, run);
  cut.go();
  rig.come_to_rest(30s);
  Outcome outcome;
  outcome.times = cut.moved();
  outcome.history = rig.collect();
  // In the control nothing is fenced, and that is no bound of time or resources.
  if (!run.without()) outcome.history.bounds = cut.bounds();
  for (const Bounded& one : cut.bounds()) outcome.figures.push_back({one.what, one.value});
  outcome.figures.push_back(
      {"deliveries that it held at the cut", static_cast<double>(cut.held())});
  outcome.logs = rig.logs();
  return outcome;
}

}  // namespace

Scenario network_cut() {
  return {.number = 44,
          .name = "network cut",
          .injected =
              "the link of a worker on another host (TCP, CURVE) is down for two leases while it "
              "runs on; its results come late",
          .without = "tokens in what Redis keeps of deliveries",
          .bites = {Invariant::kNoLoss, Invariant::kOneCommit, Invariant::kFencing,
                    Invariant::kConservation},
          .run = run_network_cut};
}

}  // namespace fanfare::chaos
