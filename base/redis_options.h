// Where a Redis server is and how long to wait for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace fanfare {

struct RedisOptions {
  std::string unix_path;           // if set, host and port are not used
  std::string host = "127.0.0.1";  // looked up blockingly: prefer an address
  std::uint16_t port = 6379;
  Duration connect_timeout = std::chrono::seconds{2};
  Duration command_timeout = std::chrono::seconds{10};
  Duration reconnect_min = std::chrono::milliseconds{20};  // doubling up to reconnect_max, each
  Duration reconnect_max = std::chrono::seconds{2};  // wait drawn from [0, that] (full jitter)
};

// "unix:///path", a bare absolute path, "redis://host[:port]" or "host:port".
Result<RedisOptions> parse_redis_url(std::string_view url);

// "unix:///path" or "redis://host:port", for messages.
std::string to_string(const RedisOptions& options);

}  // namespace fanfare
