// What `fanfare doctor` concludes from what it has seen: facts in, findings out.
//
// No I/O and no clock: facts.h gathers, this judges. What could not be seen is absent, and is said
// as a warning where somebody relies on it, else passed over.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace fanfare::cli {

struct RedisFacts {
  std::string unreachable;  // why; then nothing else is known
  std::string version, maxmemory_policy, appendonly, appendfsync;
  std::string last_aof_write, last_aof_rewrite;  // "ok", or not
  std::uint64_t used_memory = 0, maxmemory = 0, machine_memory = 0;
  std::uint64_t aof_bytes = 0;             // of its files, all together
  std::string directory;                   // of these
  std::optional<std::uint64_t> disk_free;  // there; absent if it is another machine's
  std::optional<Duration> write_time;      // of a small one, the middle of several
  std::optional<std::int64_t> ahead_ms;    // its clock before this one
  std::string library;                     // digest of the function library; empty: not loaded
  std::string layout;                      // of the keys; empty: no broker has been here
  std::uint64_t epoch = 0;                 // of the acting broker, as Redis knows it
};

struct WorkerFacts {
  std::string id, state;
  std::uint32_t slots = 0;
  std::int64_t heard_ms = 0;  // ago
  std::string version;        // empty: a build that does not tell
  bool is_here = false;       // it runs on this machine
};
struct FunctionFacts {
  std::string name, trouble;
  std::optional<std::uint64_t> letters;        // that lie there
  std::uint64_t waiting = 0;                   // of one that is not paused
  std::uint64_t memory_bytes = 0;              // its limit; 0: not deployed any more
  std::vector<std::string> does_not_start_on;  // workers
};
struct BrokerFacts {
  std::string unreachable;
  std::string durability, state;
  std::string version;
  std::optional<std::int64_t> ahead_ms;  // its clock before this one
  std::uint64_t epoch = 0;
  std::vector<WorkerFacts> workers;
  std::vector<FunctionFacts> functions;
};

struct HostFacts {
  std::optional<bool> clock_synchronised;
  std::optional<int> overcommit_memory;
  std::string transparent_huge_pages;  // always | madvise | never; empty: not known
  // Of the service that may have the fewest; where none is installed, of whoever asks. 0: not
  // known; so below.
  std::uint64_t open_files_max = 0;
  std::uint64_t somaxconn = 0;
  std::uint64_t processes_max = 0;          // as that of files; 0 also: no limit
  std::string open_files_of, processes_of;  // those services
  std::uint64_t memory = 0, memory_available = 0;
  std::string memory_limited_by;  // as a worker's log says: cgroup v2, cgroup v1, rlimit
  bool runs_redis = false, runs_workers = false;
};

// A file, folder or socket that matters, and who may do what with it.
struct PathFacts {
  enum class Kind : std::uint8_t {
    kSocket,  // whoever connects may do everything
    kSecret,  // whoever reads it is somebody else
    kData,    // whoever writes here changes what has happened
  };
  Kind kind = Kind::kData;
  std::string path;
  mode_t mode = 0;           // permission bits
  bool is_reachable = true;  // for others: every folder above lets them through
};

struct UnitFacts {
  std::string name, state;  // as systemd says: active, inactive, failed, activating …
  std::uint64_t restarts = 0;
  std::uint32_t pid = 0;        // its main process; 0: none
  std::uint64_t tasks_max = 0;  // processes and threads; 0: no limit, or not known
  std::uint64_t files_max = 0;  // that its process may have open; 0: not known
};

struct ScheduleFacts {
  std::string name;
  std::uint64_t missed = 0;            // since it was defined
  std::optional<Duration> missed_ago;  // when that was noticed last; absent: never, or not known
};

struct AutoscalerFacts {
  std::string name;
  std::uint32_t min = 0;
  bool scales = false;  // it has told something lately, and it is not just for a look
};

struct Facts {
  std::string version;  // of this build
  std::string library;  // digest of the function library that it was built with
  RedisFacts redis;
  BrokerFacts broker;
  HostFacts host;
  std::vector<PathFacts> paths;
  std::vector<UnitFacts> units;
  std::vector<ScheduleFacts> schedules;
  std::vector<AutoscalerFacts> autoscalers;
  std::string instance_user;  // that functions run as; empty: the worker's own
  bool instance_user_exists = true;
};

struct Finding {
  enum class Level : std::uint8_t { kOk, kWarning, kFailure };
  std::string check;  // "redis.eviction": a name that stays
  Level level = Level::kOk;
  std::string seen;
  std::string advice;  // what to do; empty if all is well
  bool operator==(const Finding&) const = default;
};
std::string_view to_string(Finding::Level level);  // "ok", "warn", "fail"

// In the order in which they are worth reading: Redis, broker, workers and functions, clock,
// limits, rights, services.
std::vector<Finding> examine(const Facts& facts);

// The parts of it, each in a source of its own.
void examine_redis(const Facts& facts, std::vector<Finding>& findings);
void examine_services(const Facts& facts, std::vector<Finding>& findings);
void examine_host(const Facts& facts, std::vector<Finding>& findings);

// What to do where a connection failed: `start` it, unless this user may not connect.
std::string advice_to_reach(std::string_view why, std::string start);

// "1.5 GiB": for people, not to be read back.
std::string human_bytes(std::uint64_t bytes);

// Whether there is nothing to look at: neither Redis nor a broker answers.
bool is_nobody_there(const Facts& facts);

}  // namespace fanfare::cli
