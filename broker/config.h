// Settings of fanfare-broker: section [broker] of fanfare.toml, FANFARE_BROKER_<KEY> in the
// environment. The sample file is made from these rows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/config.h"
#include "broker/core.h"
#include "broker/remote_door.h"

namespace fanfare::broker {

struct Config {
  std::string endpoint;  // ipc:///path or tcp://127.0.0.1:port; beyond loopback is refused
  std::vector<std::string> listen;  // tcp://address:port, for other machines; see remote_door.h
  std::string curve_secret_key_file, allowed_keys;
  std::uint32_t remote_connections_max = 0, remote_connections_per_key_max = 0;
  std::string redis;       // unix:///path or redis://host:port
  std::string durability;  // fsync | everysec | memory
  std::string metrics;     // host:port of the HTTP endpoint, empty = none
  std::string log_level, log_format;
  std::string trace;  // folder; empty: nothing is traced
  std::uint64_t max_event_bytes = 0;
  std::uint32_t layout = 0;
  std::uint32_t queue_max = 0;
  std::uint64_t intake_bytes_max = 0;
  Duration dedup_window{};
  Duration heartbeat{}, lease{}, announce_grace{};
  std::uint32_t max_worker_losses = 0;
  Duration dead_max_age{};
  std::uint32_t dead_max_count = 0;
  std::uint32_t generations_kept = 0;
  bool start_early = true;
  bool direct = true;  // there is a way past ZeroMQ for this machine's processes

  // No keys lead here: test programs set these, the installed ones leave them as they are.
  Protections protections;
  Failpoint failpoint;
};

// Rows bound to `config`, which must stay where it is.
ConfigSpec config_spec(Config& config);

// What the core is told; rejects what contradicts itself (a lease shorter than two heartbeats).
Result<CoreOptions> core_options(const Config& config);

// Loopback and ipc only: it has no keys, so anything else would let strangers publish and join as
// workers.
Result<void> check_endpoint(const std::string& endpoint);

RemoteOptions remote_options(const Config& config);

// What --check-config looks at beside the settings: whether they fit together, and the keys' files.
Result<void> check_files(const Config& config);

}  // namespace fanfare::broker
