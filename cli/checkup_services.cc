// Findings about Fanfare's own processes: broker, workers, functions, schedules, systemd's units.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "cli/checkup.h"

namespace fanfare::cli {
namespace {

using Level = Finding::Level;

constexpr std::int64_t kSilentMs = 8000;  // four of a worker's heartbeats, as they are by default
constexpr std::uint64_t kRestartsMany = 3;
constexpr std::size_t kNamed = 5;                     // in one finding
constexpr Duration kLately = std::chrono::hours{24};  // what was missed before is an old story

// "a, b, c and 4 more"
std::string some_of(const std::vector<std::string>& names) {
  const std::size_t shown = std::min(kNamed, names.size());
  std::string text = fmt::format(
      "{}", fmt::join(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

class ServicesCheckup {
 public:
  ServicesCheckup(const Facts& facts, std::vector<Finding>& findings)
      : facts_(facts), broker_(facts.broker), findings_(findings) {}

  void run() {
    look_at_units();
    if (!broker_.unreachable.empty()) {
      return say("broker.reachable", Level::kFailure, broker_.unreachable,
                 advice_to_reach(broker_.unreachable,
                                 "start it (`fanfare up`, `systemctl start fanfare.target`), or "
                                 "say where it is with --broker"));
    }
    look_at_broker();
    look_at_workers();
    look_at_versions();
    look_at_functions();
    look_at_schedules();
  }

 private:
  void say(const char* check, Level level, std::string seen, std::string advice = {}) {
    findings_.push_back({check, level, std::move(seen), std::move(advice)});
  }

  void look_at_units() {
    if (facts_.units.empty()) return;
    std::vector<std::string> failed, restless;
    for (const UnitFacts& unit : facts_.units) {
      if (unit.state == "failed") failed.push_back(unit.name);
      if (unit.restarts >= kRestartsMany) {
        restless.push_back(fmt::format("{} ({} restarts)", unit.name, unit.restarts));
      }
    }
    if (!failed.empty()) {
      say("services", Level::kFailure, some_of(failed) + " failed",
          fmt::format("`systemctl status {}` shows why", failed.front()));
    } else if (!restless.empty()) {
      say("services", Level::kWarning, some_of(restless),
          "it dies again and again: `journalctl -u 'fanfare-*'` shows why");
    } else {
      say("services", Level::kOk, fmt::format("{} units", facts_.units.size()));
    }
  }

  void look_at_broker() {
    const bool accepts = broker_.state == "accepting";
    say("broker.state", accepts ? Level::kOk : Level::kWarning,
        fmt::format("{}, class {}", broker_.state, broker_.durability),
        accepts ? "" : "it starts, ends, or waits for Redis: its log says which");
    const auto in_redis = facts_.redis.epoch;
    if (facts_.redis.unreachable.empty() && in_redis != 0) {
      const bool acts = in_redis == broker_.epoch;
      say("broker.office", acts ? Level::kOk : Level::kFailure,
          fmt::format("epoch {}, in Redis {}", broker_.epoch, in_redis),
          acts ? ""
               : "another broker works on this Redis, or --redis is not this broker's: end one of "
                 "them");
    }
  }

  void look_at_workers() {
    std::vector<std::string> silent;
    std::uint64_t slots = 0;
    for (const WorkerFacts& worker : broker_.workers) {
      if (worker.heard_ms > kSilentMs) silent.push_back(worker.id);
      if (worker.state == "running") slots += worker.slots;
    }
    const std::string seen =
        fmt::format("{} connected, {} slots that take work", broker_.workers.size(), slots);
    if (broker_.workers.empty()) {
      say_that_there_are_none();
    } else if (slots == 0) {
      say("workers", Level::kWarning, seen,
          "all are quiet or leave: `fanfare workers resume ID` takes one back");
    } else if (!silent.empty()) {
      say("workers", Level::kWarning, some_of(silent) + " says nothing",
          "it hangs or its host is away; its work goes to others when its lease ends");
    } else {
      say("workers", Level::kOk, seen);
    }
  }

  // With an autoscaler that may take away all of them that is how it should be, as long as nobody
  // waits.
  void say_that_there_are_none() {
    const auto to_zero = std::ranges::find_if(
        facts_.autoscalers, [](const AutoscalerFacts& one) { return one.scales && one.min == 0; });
    const bool nobody_waits = std::ranges::all_of(
        broker_.functions, [](const FunctionFacts& function) { return function.waiting == 0; });
    if (to_zero == facts_.autoscalers.end()) {
      say("workers", Level::kFailure, "none is connected",
          "events queue and nobody runs them: start fanfare-worker, or see why it does not join");
    } else if (nobody_waits) {
      say("workers", Level::kOk,
          fmt::format("none is connected: autoscaler {} starts them when there is work",
                      to_zero->name));
    } else {
      say("workers", Level::kFailure, "none is connected, and deliveries wait",
          fmt::format("if autoscaler {} does not start one within seconds, `fanfare autoscale "
                      "status` says why",
                      to_zero->name));
    }
  }

  void look_at_versions() {
    if (broker_.version.empty()) return;
    std::vector<std::string> others;
    const auto compare = [&](const std::string& who, const std::string& version) {
      if (version == broker_.version) return;
      others.push_back(who + (version.empty() ? " does not tell" : " " + version));
    };
    if (!facts_.version.empty()) compare("this `fanfare`", facts_.version);
    for (const WorkerFacts& worker : broker_.workers) compare(worker.id, worker.version);
    say("versions", others.empty() ? Level::kOk : Level::kWarning,
        others.empty() ? "all are " + broker_.version
                       : fmt::format("broker {}; {}", broker_.version, some_of(others)),
        others.empty() ? ""
                       : "versions work together for the time of an upgrade: bring it to its end "
                         "(`fanfare-upgrade`, `fanfare-rolling-restart`)");
  }

  void look_at_functions() {
    std::vector<std::string> troubled, dying, not_starting;
    bool letters_are_known = true;
    for (const FunctionFacts& function : broker_.functions) {
      if (!function.trouble.empty()) troubled.push_back(function.name + ": " + function.trouble);
      letters_are_known = letters_are_known && function.letters;
      const std::uint64_t letters = function.letters.value_or(0);
      if (letters > 0) dying.push_back(fmt::format("{} {}", function.name, letters));
      if (function.does_not_start_on.empty()) continue;
      not_starting.push_back(
          fmt::format("{} on {}", function.name, some_of(function.does_not_start_on)));
    }
    say("functions.readable", troubled.empty() ? Level::kOk : Level::kFailure,
        troubled.empty() ? fmt::format("all of {}", broker_.functions.size()) : some_of(troubled),
        troubled.empty()
            ? ""
            : "mend that key of Redis by hand, see docs/redis.md: until then it takes no events");
    say("functions.start", not_starting.empty() ? Level::kOk : Level::kFailure,
        not_starting.empty() ? "wherever they were tried"
                             : "do not start: " + some_of(not_starting),
        not_starting.empty()
            ? ""
            : "their deliveries fail there: `fanfare logs NAME` and the worker's log "
              "say why; deploy one that starts, or `fanfare functions rollback NAME`");
    if (!letters_are_known && dying.empty()) return;
    say("functions.dead_letters", dying.empty() ? Level::kOk : Level::kWarning,
        dying.empty() ? "none" : some_of(dying),
        dying.empty() ? "" : "`fanfare dlq list NAME` shows why; `dlq redrive` tries them again");
  }

  void look_at_schedules() {
    if (facts_.schedules.empty()) return;
    std::vector<std::string> missed;
    for (const ScheduleFacts& schedule : facts_.schedules) {
      if (!schedule.missed_ago || *schedule.missed_ago > kLately) continue;
      missed.push_back(fmt::format("{} ({} times in all)", schedule.name, schedule.missed));
    }
    say("schedules", missed.empty() ? Level::kOk : Level::kWarning,
        missed.empty()
            ? fmt::format("{} defined, none has missed an instant lately", facts_.schedules.size())
            : "instants were missed within a day: " + some_of(missed),
        missed.empty() ? ""
                       : "no scheduler ran then: see that fanfare-triggers does, and the policy "
                         "for what is missed (docs/schedules.md)");
  }

  const Facts& facts_;
  const BrokerFacts& broker_;
  std::vector<Finding>& findings_;
};

}  // namespace

void examine_services(const Facts& facts, std::vector<Finding>& findings) {
  ServicesCheckup(facts, findings).run();
}

}  // namespace fanfare::cli
