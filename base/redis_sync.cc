#include "base/redis_sync.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <vector>

namespace fanfare {
namespace {

timeval to_timeval(Duration duration) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return {microseconds / 1'000'000, microseconds % 1'000'000};
}

}  // namespace

void OwnedReply::Free::operator()(redisReply* raw) const {
  freeReplyObject(raw);
}
void RedisSync::Free::operator()(redisContext* context) const {
  redisFree(context);
}

RedisSync::RedisSync(redisContext* context, std::string address)
    : context_(context), address_(std::move(address)) {}

Result<RedisSync> RedisSync::connect(const RedisOptions& options) {
  const timeval timeout = to_timeval(options.connect_timeout);
  RedisSync redis(options.unix_path.empty()
                      ? redisConnectWithTimeout(options.host.c_str(), options.port, timeout)
                      : redisConnectUnixWithTimeout(options.unix_path.c_str(), timeout),
                  to_string(options));
  if (!redis.context_ || redis.context_->err != 0) {
    return reconnect(fmt::format("cannot reach Redis at {}: {}", redis.address_,
                                 redis.context_ ? redis.context_->errstr : "out of memory"));
  }
  fcntl(redis.context_->fd, F_SETFD, FD_CLOEXEC);
  redisSetTimeout(redis.context_.get(), to_timeval(options.command_timeout));
  return redis;
}

Result<OwnedReply> RedisSync::call(std::span<const std::string_view> arguments) {
  std::vector<const char*> starts;
  std::vector<std::size_t> lengths;
  for (const std::string_view argument : arguments) {
    starts.push_back(argument.data());
    lengths.push_back(argument.size());
  }
  auto* raw = static_cast<redisReply*>(redisCommandArgv(
      context_.get(), static_cast<int>(starts.size()), starts.data(), lengths.data()));
  if (raw == nullptr) {
    return reconnect(
        fmt::format("Redis at {} did not answer: {}", address_,
                    context_->err != 0 ? context_->errstr : "the connection is broken"));
  }
  return OwnedReply(raw);
}

Result<OwnedReply> RedisSync::call(std::span<const std::string> arguments) {
  const std::vector<std::string_view> views(arguments.begin(), arguments.end());
  return call(std::span<const std::string_view>(views));
}

}  // namespace fanfare
