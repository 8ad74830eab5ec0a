#include "store/check.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <string>
#include <thread>
#include <utility>

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

Result<std::string> version_of(RedisSync& redis) {
  auto reply = redis.call({"INFO", "server"});
  if (!reply) return reply.error();
  const std::string_view info = (*reply)->text();
  constexpr std::string_view kKey = "redis_version:";
  const std::size_t at = info.find(kKey);
  if (at == std::string_view::npos) {
    return fatal("Redis does not tell its version; allow INFO for this user");
  }
  const std::string_view rest = info.substr(at + kKey.size());
  return std::string(rest.substr(0, rest.find_first_of("\r\n")));
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

Result<void> judge_server(const ServerFacts& facts, std::string_view durability,
                          std::string_view where) {
  int major = 0;
  std::from_chars(facts.version.data(), facts.version.data() + facts.version.size(), major);
  if (major < kMajorVersionMin) {
    return fatal(fmt::format(
        "the Redis at {} is version {}; Fanfare needs 7.0 or later: install a newer one", where,
        facts.version));
  }
  if (facts.maxmemory_policy != "noeviction") {
    return fatal(
        fmt::format("the Redis at {} would delete accepted events when it is full "
                    "(maxmemory-policy {}); set maxmemory-policy noeviction",
                    where, facts.maxmemory_policy));
  }
  if (durability == "memory") return {};
  const std::string_view wanted = durability == "fsync" ? "always" : "everysec";
  const bool strong_enough = facts.appendfsync == "always" || facts.appendfsync == wanted;
  if (facts.appendonly != "yes" || !strong_enough) {
    return fatal(
        fmt::format("the Redis at {} cannot keep class {} (appendonly {}, appendfsync {}); set "
                    "appendonly yes and appendfsync {}",
                    where, durability, facts.appendonly, facts.appendfsync, wanted));
  }
  return {};
}

Result<void> check_server(const RedisOptions& options, std::string_view durability,
                          Duration patience) {
  auto redis = connect_patiently(options, patience);
  if (!redis) return redis.error();
  ServerFacts facts;
  auto version = version_of(*redis);
  if (!version) return version.error();
  facts.version = *std::move(version);
  for (auto [name, into] :
       {std::pair{"maxmemory-policy", &facts.maxmemory_policy},
        std::pair{"appendonly", &facts.appendonly}, std::pair{"appendfsync", &facts.appendfsync}}) {
    auto value = setting(*redis, name);
    if (!value) return value.error();
    *into = *std::move(value);
  }
  return judge_server(facts, durability, to_string(options));
}

}  // namespace fanfare::store
