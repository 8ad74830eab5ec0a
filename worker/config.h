// Settings of fanfare-worker: section [worker] of fanfare.toml, FANFARE_WORKER_<KEY> in the
// environment.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/zmq_curve.h"
#include "worker/core.h"

namespace fanfare::worker {

// Of [worker] redis: what is asked of Redis goes through the broker. A word, not the empty text: a
// setting that was left out or emptied by mistake must not decide where results go.
inline constexpr std::string_view kByBroker = "broker";

struct Config {
  std::string name;        // unique per broker; default: host name and process id
  std::string broker;      // the broker's endpoint
  std::string broker_key;  // its public key, or a file with it; for a broker elsewhere
  std::string curve_secret_key_file;
  std::string redis;        // unix:///path, redis://host:port, or kByBroker
  std::string cache_dir;    // packages of functions, unpacked, by digest
  std::string instance;     // path of fanfare-instance; default: beside this program
  std::string run_as;       // user that instances become when the worker runs as root; empty = stay
  std::string storage_dir;  // buckets; functions find it as FANFARE_STORAGE; empty = none
  std::uint32_t slots = 0;  // instances at once; default: twice the cores
  Duration grace{};         // of a drain
  std::string log_level, log_format, log_file;
  std::uint64_t log_file_max = 0;        // bytes; then it becomes FILE.1
  std::string reports;                   // all | failures | none
  std::uint32_t forks_per_second = 0;    // 0: 1000 for each processor
  std::uint32_t reports_per_second = 0;  // lines; more are left out and counted
  std::uint32_t output_lines_per_second = 0;
  bool local = true;                 // invocations that come from this host are run here
  std::string metrics;               // host:port; empty: none
  std::string trace;                 // folder; empty: nothing is traced
  std::string number;                // which of its host's workers; its port is so much higher
  Duration usage_ttl{};              // 0: nothing is metered
  std::uint32_t usage_rows_max = 0;  // functions and tenants told apart in an hour

  // No keys lead here: test programs set these, the installed ones leave them as they are.
  Protections protections;
  Failpoint failpoint;
  Duration housekeeping_every = std::chrono::seconds{1};
};

ConfigSpec config_spec(Config& config);

// What the core is told. Fills in what depends on this machine: name, slots, fanfare-instance.
Result<CoreOptions> core_options(Config& config);

// The keys that connecting to the broker takes; kReject if it wants some and has none.
Result<std::shared_ptr<const CurveClient>> broker_keys(const Config& config);

// Where this worker serves its metrics: `metrics`, with `number` added to the port. Empty: nowhere.
// kReject: `metrics` is not host:port, or the port would be too high.
Result<std::string> metrics_address(const Config& config);

struct RunAs {
  std::uint32_t uid = 0, gid = 0;  // 0: stay what the worker is
};
// Nothing to become when `user` is empty or the worker does not run as root.
Result<RunAs> find_user(const std::string& user);

}  // namespace fanfare::worker
