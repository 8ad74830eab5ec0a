#include "store/check.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <string>
#include <thread>

#include "base/redis_sync.h"

namespace fanfare::store {
namespace {

using namespace std::chrono_literals;

constexpr int kMajorVersionMin = 7;

Result<std::string> setting(RedisSync& redis, std::string_view name) {
  auto reply = redis.call({"CONFIG", "GET", name});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) {
    return fatal(
        fmt::format("Redis does not tell its setting {}: {}; allow CONFIG GET for this user", name,
                    (*reply)->text()));
  }
  return (*reply)->size() == 2 ? std::string((**reply)[1].text()) : std::string{};
}

Result<int> major_version(RedisSync& redis) {
  auto reply = redis.call({"INFO", "server"});
  if (!reply) return reply.error();
  const std::string info((*reply)->text());
  const std::string key = "redis_version:";
  const std::size_t at = info.find(key);
  int major = 0;
  if (at == std::string::npos)
    return fatal("Redis does not tell its version; allow INFO for this user");
  std::from_chars(info.data() + at + key.size(), info.data() + info.size(), major);
  return major;
}

// Nothing when the server answers; what it says otherwise.
Result<void> is_up(RedisSync& redis) {
  auto reply = redis.call({"PING"});
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return reconnect(std::string((*reply)->text()));
  return {};
}

Result<RedisSync> connect_patiently(const RedisOptions& options, Duration patience) {
  const auto give_up_at = std::chrono::steady_clock::now() + patience;
  while (true) {
    auto redis = RedisSync::connect(options);
    Result<void> up = redis ? is_up(*redis) : Result<void>(redis.error());
    if (up) return redis;
    if (std::chrono::steady_clock::now() >= give_up_at) {
      return reconnect(
          fmt::format("{}; start Redis there, or set [broker] redis", up.error().message));
    }
    std::this_thread::sleep_for(50ms);
  }
}

}  // namespace

Result<void> check_server(const RedisOptions& options, std::string_view durability,
                          Duration patience) {
  auto redis = connect_patiently(options, patience);
  if (!redis) return redis.error();
  const std::string where = to_string(options);

  const auto version = major_version(*redis);
  if (!version) return version.error();
  if (*version < kMajorVersionMin) {
    return fatal(
        fmt::format("the Redis at {} is version {}; Fanfare needs 7.0 or later", where, *version));
  }
  const auto policy = setting(*redis, "maxmemory-policy");
  if (!policy) return policy.error();
  if (*policy != "noeviction") {
    return fatal(
        fmt::format("the Redis at {} would delete accepted events when it is full "
                    "(maxmemory-policy {}); set maxmemory-policy noeviction",
                    where, *policy));
  }
  if (durability == "memory") return {};

  const auto appendonly = setting(*redis, "appendonly");
  if (!appendonly) return appendonly.error();
  const auto appendfsync = setting(*redis, "appendfsync");
  if (!appendfsync) return appendfsync.error();
  const std::string wanted = durability == "fsync" ? "always" : "everysec";
  const bool strong_enough = *appendfsync == "always" || *appendfsync == wanted;
  if (*appendonly != "yes" || !strong_enough) {
    return fatal(
        fmt::format("the Redis at {} cannot keep class {} (appendonly {}, appendfsync {}); set "
                    "appendonly yes and appendfsync {}",
                    where, durability, *appendonly, *appendfsync, wanted));
  }
  return {};
}

}  // namespace fanfare::store
