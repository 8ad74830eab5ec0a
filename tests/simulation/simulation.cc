#include "tests/simulation/simulation.h"

#include <fmt/format.h>

#include <functional>

#include "tests/simulation/cluster.h"

namespace fanfare::simulation {
namespace {

using namespace std::chrono_literals;

class Run {
 public:
  explicit Run(const Options& options)
      : options_(options), world_(options.seed, options.mutation, options.tracing) {
    Random& random = world_.random;
    world_.network.tempo.slow = random.chance(0.5) ? 0.01 : 0;
    world_.redis.tempo.slow = random.chance(0.5) ? 0.01 : 0;
    if (random.chance(0.3)) world_.redis.tempo.delay = 2ms;
    if (random.chance(0.3)) world_.mishaps = {0.05, 0.02, 0.02};
    world_.doubts = random.chance(0.05);
    if (world_.doubts || random.chance(0.1)) world_.workload.large_events = 0.3;
    world_.redis.install(world_.workload);
    cluster_ = std::make_unique<Cluster>(world_);
    choose_faults();
  }

  Report run() {
    while (world_.schedule.steps() < options_.steps && !world_.history.violated()) {
      world_.schedule.run_next(TimePoint::max());
    }
    heal();
    come_to_rest();
    if (!world_.history.violated()) check_final();
    Report report;
    report.violation = world_.history.violation();
    report.trace.assign(world_.trace.lines().begin(), world_.trace.lines().end());
    report.steps = world_.schedule.steps();
    report.calls = world_.redis.calls();
    report.executions = world_.history.executions();
    report.deliveries = world_.history.deliveries();
    report.simulated = world_.schedule.steady().time_since_epoch();
    return report;
  }

 private:
  // Not every seed has every fault: some troubles only show when others do not cover them up.
  void choose_faults() {
    Random& random = world_.random;
    const auto soon = [this](Duration low, Duration high) {
      return world_.schedule.steady() + world_.random.between(low, high);
    };
    const std::function<void()> all[] = {
        [this] { cluster_->break_connection(); },
        [this] { cluster_->break_connection(); },
        [this] { cluster_->cut_off(world_.random.between(20ms, 1500ms)); },
        [this] { cluster_->crash_broker(); },
        [this] { cluster_->pause_broker(world_.random.between(5ms, 300ms)); },
        [this] { cluster_->replace_broker(world_.random.between(5ms, 300ms)); },
        [this] { cluster_->crash_worker(); },
        [this] { cluster_->crash_instance(); },
        [this] { cluster_->crash_zygote(); },
        [this] { cluster_->crash_publisher(); },
        [this] { cluster_->drain_worker(); },
        [this] { cluster_->deploy(); },
        [this] { cluster_->control().hold_up(); },
        [this] { cluster_->control().purge(); },
        [this] { cluster_->control().cancel(); },
        [this] { cluster_->control().cancel(); },
        [this] { cluster_->control().quieten(); },
        [this] { cluster_->redrive(); },
        [this] { cluster_->redrive(); },
        [this] { cluster_->send_garbage(); },
        [this] { cluster_->send_garbage(); },
        [this] { cluster_->step_clock(world_.random.between(-500ms, 500ms)); },
        [this] { world_.redis.break_some_link(); },
        [this] { world_.redis.break_some_link(); },
        [this, soon] { world_.redis.stall_until(soon(1ms, 150ms)); },
        [this] { world_.redis.restart(world_.random.between(5ms, 150ms)); },
        [this, soon] { world_.redis.refuse_appends_until(soon(1ms, 150ms)); },
        [this, soon] { world_.redis.refuse_changes_until(soon(1ms, 150ms)); },
        [this, soon] {
          const auto& functions = world_.workload.functions();
          world_.redis.reject_commits_until(soon(1ms, 500ms),
                                            functions[world_.random.below(functions.size())].name);
        },
    };
    for (const auto& fault : all) {
      if (random.chance(0.5)) faults_.push_back(fault);
    }
    pace_ = random.between(4ms, 60ms);
    if (world_.doubts) choose_doubts();
    std::vector<std::function<void()>> at_instant{
        [this] { cluster_->crash_broker(); },
        [this] { cluster_->replace_broker(world_.random.between(1ms, 10ms)); },
        [this] { world_.redis.restart(world_.random.between(1ms, 30ms)); },
        [this, soon] { world_.redis.stall_until(soon(1ms, 20ms)); },
    };
    if (random.chance(0.6)) world_.at_instant = random.pick(at_instant);
    world_.schedule.after(random.around(pace_), [this] { fault(); });
  }

  // Batches spread over chunks of which Redis takes some and refuses others, and answers that are
  // lost: what tries the repeat guard.
  void choose_doubts() {
    faults_ = {
        [this] { cluster_->crash_broker(); },
        [this] { cluster_->replace_broker(world_.random.between(1ms, 10ms)); },
        [this] { cluster_->break_connection(); },
        [this] { world_.redis.break_some_link(); },
        [this] {
          world_.redis.refuse_appends_until(world_.schedule.steady() +
                                            world_.random.between(1ms, 20ms));
        },
    };
    pace_ = world_.random.between(2ms, 10ms);
  }

  void fault() {
    if (healed_ || faults_.empty()) return;
    world_.random.pick(faults_)();
    world_.schedule.after(world_.random.around(pace_), [this] { fault(); });
  }

  void heal() {
    healed_ = true;
    world_.publishing = false;
    world_.mishaps = {};
    world_.network.tempo.slow = world_.redis.tempo.slow = 0;
    world_.last_fault = world_.schedule.steady();
    world_.trace.say("the faults are over");
    cluster_->control().set_all_free();
  }

  bool at_rest() { return cluster_->clients_idle() && world_.history.all_ended(); }

  void come_to_rest() {
    for (std::uint64_t n = 0; !world_.history.violated(); ++n) {
      if (n % 64 == 0 && at_rest()) break;
      if (!world_.schedule.run_next(world_.last_fault + kRestAfter)) {
        world_.history.violate("{:.0f} s after the last fault there is left: {}{}; {}{}",
                               to_ms(kRestAfter) / 1000, world_.history.what_is_open(),
                               cluster_->clients_idle() ? "" : ", clients that wait",
                               cluster_->what_brokers_hold(), cluster_->what_workers_hold());
        return;
      }
    }
    // Reports and repeats that are still on their way arrive.
    const TimePoint settled = world_.schedule.steady() + 3s;
    while (!world_.history.violated() && world_.schedule.run_next(settled)) {
    }
  }

  void check_final() {
    world_.history.check_final();
    if (!world_.history.violated()) world_.redis.check_final();
    const std::string held = cluster_->what_brokers_hold();
    if (!world_.history.violated() && !held.empty()) {
      world_.history.violate("everything has ended, but the broker believes: {}", held);
    }
  }

  const Options options_;
  World world_;
  std::unique_ptr<Cluster> cluster_;
  std::vector<std::function<void()>> faults_;
  Duration pace_{};
  bool healed_ = false;
};

}  // namespace

Report simulate(const Options& options) {
  Run run(options);
  return run.run();
}

std::string replay_command(const Options& options) {
  std::string command = fmt::format("simulation --first {} --seeds 1 --steps {} --verbose",
                                    options.seed, options.steps);
  if (options.mutation != Mutation::kNone) {
    command += fmt::format(" --mutation {}", to_string(options.mutation));
  }
  return command;
}

}  // namespace fanfare::simulation
