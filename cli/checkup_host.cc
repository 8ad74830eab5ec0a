// Findings about this machine: its clock, its limits, and who may do what.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "cli/checkup.h"

namespace fanfare::cli {
namespace {

using Level = Finding::Level;

constexpr std::int64_t kSkewWarnMs = 1000, kSkewFailMs = 60'000;
constexpr std::uint64_t kOpenFilesLeast = 4096, kBacklogLeast = 511, kProcessesLeast = 512;

class HostCheckup {
 public:
  HostCheckup(const Facts& facts, std::vector<Finding>& findings)
      : facts_(facts), host_(facts.host), findings_(findings) {}

  void run() {
    look_at_clocks();
    look_at_limits();
    look_at_memory();
    look_at_rights();
  }

 private:
  void say(const char* check, Level level, std::string seen, std::string advice = {}) {
    findings_.push_back({check, level, std::move(seen), std::move(advice)});
  }

  void look_at_clocks() {
    if (host_.clock_synchronised) {
      const bool synchronised = *host_.clock_synchronised;
      say("clock.synchronised", synchronised ? Level::kOk : Level::kWarning,
          synchronised ? "it follows a time server" : "it follows no time server",
          synchronised ? ""
                       : "delays and schedules are kept by it: install systemd-timesyncd or "
                         "chrony");
    }
    compare_clock("clock.redis", "Redis", facts_.redis.ahead_ms,
                  "ages, delays and schedules would be off by so much: set the clocks by one time "
                  "server");
    compare_clock("clock.broker", "the broker", facts_.broker.ahead_ms,
                  "delays and ages go by its clock: set the clocks by one time server. A broker "
                  "keeps the time that it was started with; `systemctl restart fanfare-broker` "
                  "takes its machine's");
  }

  void compare_clock(const char* check, const char* whose, std::optional<std::int64_t> ahead_ms,
                     const char* advice) {
    if (!ahead_ms) return;
    const std::int64_t skew = std::abs(*ahead_ms);
    const std::string seen =
        skew < kSkewWarnMs
            ? fmt::format("{} has the same time", whose)
            : fmt::format("the clock of {} is {:.1f} s {}", whose,
                          static_cast<double>(skew) / 1000.0, *ahead_ms > 0 ? "ahead" : "behind");
    say(check,
        skew >= kSkewFailMs   ? Level::kFailure
        : skew >= kSkewWarnMs ? Level::kWarning
                              : Level::kOk,
        seen, skew < kSkewWarnMs ? "" : advice);
  }

  void look_at_limits() {
    if (host_.runs_redis && host_.overcommit_memory) {
      const bool fine = *host_.overcommit_memory == 1;
      say("limits.overcommit", fine ? Level::kOk : Level::kWarning,
          fmt::format("vm.overcommit_memory {}", *host_.overcommit_memory),
          fine ? ""
               : "a rewrite of Redis' files may fail for memory that it does not need: "
                 "`sysctl vm.overcommit_memory=1`");
    }
    if (host_.runs_redis && !host_.transparent_huge_pages.empty()) {
      const bool fine = host_.transparent_huge_pages != "always";
      say("limits.huge_pages", fine ? Level::kOk : Level::kWarning,
          "transparent huge pages: " + host_.transparent_huge_pages,
          fine ? ""
               : "Redis slows down and grows while it rewrites: `echo madvise "
                 ">/sys/kernel/mm/transparent_hugepage/enabled`");
    }
    at_least("limits.open_files", "open files" + of(host_.open_files_of), host_.open_files_max,
             kOpenFilesLeast,
             "raise LimitNOFILE (`ulimit -n`): each connection and each instance needs some");
    at_least("limits.backlog", "net.core.somaxconn", host_.somaxconn, kBacklogLeast,
             "bursts of connections are refused: `sysctl net.core.somaxconn=4096`");
    at_least(
        "limits.processes",
        "processes" + (host_.processes_of.empty() ? " in this cgroup" : of(host_.processes_of)),
        host_.processes_max, kProcessesLeast,
        "raise TasksMax: each instance is a process, and functions may start more");
    if (host_.memory_limited_by.empty()) return;
    const bool fine = host_.memory_limited_by.starts_with("cgroup");
    say("limits.instances", fine ? Level::kOk : Level::kWarning,
        "memory of instances is limited by " + host_.memory_limited_by,
        fine ? ""
             : "what a function starts beside itself is not counted: let the worker make "
               "cgroups (Delegate=memory pids cpu, or run it as root)");
  }

  static std::string of(const std::string& unit) { return unit.empty() ? unit : " of " + unit; }

  void at_least(const char* check, const std::string& what, std::uint64_t found,
                std::uint64_t least, const char* advice) {
    if (found == 0) return;
    say(check, found >= least ? Level::kOk : Level::kWarning,
        found == UINT64_MAX ? what + ": no limit" : fmt::format("{} {}", what, found),
        found >= least ? "" : advice);
  }

  // If every slot ran the hungriest function at its limit.
  void look_at_memory() {
    if (!host_.runs_workers || host_.memory == 0) return;
    std::uint64_t slots = 0, largest = 0;
    for (const WorkerFacts& worker : facts_.broker.workers) {
      if (worker.is_here) slots += worker.slots;
    }
    for (const FunctionFacts& function : facts_.broker.functions) {
      largest = std::max(largest, function.memory_bytes);
    }
    if (slots == 0 || largest == 0) return;
    const std::uint64_t wanted = slots * largest;
    const bool fits = wanted <= host_.memory;
    say("limits.memory", fits ? Level::kOk : Level::kWarning,
        fmt::format("{} slots × {} (the largest `memory` of a function) is {} of {}", slots,
                    human_bytes(largest), human_bytes(wanted), human_bytes(host_.memory)),
        fits ? ""
             : "if all were used at once the kernel would end something: fewer slots, or "
               "smaller limits");
  }

  void look_at_rights() {
    std::size_t fine = 0;
    for (const PathFacts& path : facts_.paths) {
      const mode_t others = path.is_reachable ? path.mode & 07 : 0;
      using Kind = PathFacts::Kind;
      const char* problem = nullptr;
      if (path.kind == Kind::kSocket && (others & 02)) {
        problem = "everybody on this machine may publish, deploy and read everything";
      } else if (path.kind == Kind::kSecret && (others & 04)) {
        problem = "everybody on this machine may read what is secret in it";
      } else if (path.kind == Kind::kData && (others & 02)) {
        problem = "everybody on this machine may change what lies there";
      }
      if (!problem) {
        ++fine;
        continue;
      }
      const bool reads = path.kind == Kind::kSecret;
      say("rights", Level::kFailure, fmt::format("{} has mode {:04o}", path.path, path.mode),
          fmt::format("{}: `chmod {} {}`", problem, reads ? "o-rwx" : "o-w", path.path));
    }
    if (fine == facts_.paths.size() && fine > 0) {
      say("rights", Level::kOk, fmt::format("{} files, folders and sockets", fine));
    }
    if (facts_.instance_user.empty()) return;
    say("rights.run_as", facts_.instance_user_exists ? Level::kOk : Level::kFailure,
        "functions run as " + facts_.instance_user,
        facts_.instance_user_exists
            ? ""
            : "there is no such user: make it, or set [worker] run_as to one that is there");
  }

  const Facts& facts_;
  const HostFacts& host_;
  std::vector<Finding>& findings_;
};

}  // namespace

void examine_host(const Facts& facts, std::vector<Finding>& findings) {
  HostCheckup(facts, findings).run();
}

}  // namespace fanfare::cli
