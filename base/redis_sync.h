// A blocking connection to Redis, for command line tools and tests. Never on a Loop's thread.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/redis_options.h"
#include "base/redis_reply.h"
#include "base/result.h"

struct redisContext;

namespace fanfare {

// A reply that lives as long as this object.
class OwnedReply {
 public:
  explicit OwnedReply(redisReply* raw) : raw_(raw), view_(raw) {}
  const RedisReply& operator*() const { return view_; }
  const RedisReply* operator->() const { return &view_; }

 private:
  struct Free {
    void operator()(redisReply* raw) const;
  };
  std::unique_ptr<redisReply, Free> raw_;
  RedisReply view_;
};

class RedisSync {
 public:
  // kReconnect if nobody answers there, naming the address.
  static Result<RedisSync> connect(const RedisOptions& options);

  // An error that Redis answers with is a reply like any other: check is_error(). kReconnect if the
  // connection broke or command_timeout passed: the outcome is unknown and this object is of no
  // further use.
  Result<OwnedReply> call(std::span<const std::string_view> arguments);
  Result<OwnedReply> call(std::initializer_list<std::string_view> arguments) {
    return call(std::span(arguments.begin(), arguments.size()));
  }
  Result<OwnedReply> call(std::span<const std::string> arguments);

 private:
  struct Free {
    void operator()(redisContext* context) const;
  };
  RedisSync(redisContext* context, std::string address);
  std::unique_ptr<redisContext, Free> context_;
  std::string address_;
};

}  // namespace fanfare
