// Settings of fanfare-triggers: section [triggers] of fanfare.toml, FANFARE_TRIGGERS_<KEY> in the
// environment. What becomes events is defined apart, in triggers.toml (definitions.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/zmq_curve.h"
#include "triggers/access.h"
#include "triggers/http_server.h"

namespace fanfare::triggers {

struct Config {
  std::string listen;         // host:port
  std::string broker, redis;  // as in [worker]
  std::string broker_key, curve_secret_key_file;
  std::string definitions;  // triggers.toml; empty or absent: none
  std::string state;        // directory of the buckets' ledgers
  std::string certificate;  // PEM; with `tls_key`
  std::string tls_key;      // PEM file
  std::vector<std::string> tokens;
  bool trust_loopback = true;
  bool is_public = false;
  std::uint64_t max_body_bytes = 0, max_body_bytes_total = 0;
  std::uint32_t connections_max = 0;
  Duration request_timeout{}, idle_timeout{}, drain{};
  std::string log_level, log_format;
};

// Rows bound to `config`, which must stay where it is.
ConfigSpec config_spec(Config& config);

// Beyond loopback it takes TLS and a token, or `public = true`: else anybody could publish, and
// read what others have published.
Result<void> check_exposure(const Config& config);

// The keys that connecting to the broker takes; kReject if it wants some and has none.
Result<std::shared_ptr<const CurveClient>> broker_keys(const Config& config);

// Bounds that would never let anything through.
Result<void> check_bounds(const Config& config);

// How many connections a process may have that may have so many files open: the others are for
// Redis, the broker, and what it writes to buckets.
std::size_t connections_that_fit(std::size_t files_max);

HttpServerOptions http_options(const Config& config);
AccessOptions access_options(const Config& config);

}  // namespace fanfare::triggers
