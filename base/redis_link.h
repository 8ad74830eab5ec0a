// One asynchronous, pipelined connection to Redis on a Loop, made again whenever it breaks.
//
// Commands go out in order, in one write per turn of the loop, and answers come back in order. A
// command whose answer did not come, because the connection broke or command_timeout passed, is
// reported as lost: its outcome is unknown, and whoever sent it decides whether to repeat it on the
// next connection. The link itself repeats nothing.
//
// Callbacks run on the loop's thread, never inside the call that caused them. Destroying the link
// drops pending commands without calling anybody; it must not be destroyed from its own callbacks.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/loop.h"
#include "base/redis_options.h"
#include "base/redis_reply.h"

namespace fanfare {

class RedisLink {
 public:
  struct Handlers {
    std::function<void()> on_up;  // connected; commands work from here on
    // The connection is gone, after everything pending was reported lost; says why. Also for each
    // failed attempt to connect.
    std::function<void(std::string_view reason)> on_down;
  };

  // Starts connecting in the loop's next turn.
  RedisLink(Loop& loop, RedisOptions options, Handlers handlers = {});
  ~RedisLink();
  RedisLink(const RedisLink&) = delete;
  RedisLink& operator=(const RedisLink&) = delete;

  using OnReply = std::function<void(const RedisReply&)>;
  // Sends a command; arguments may hold any bytes. While the link is down the answer is lost, in
  // the loop's next turn.
  void call(std::span<const std::string_view> arguments, OnReply on_reply);
  void call(std::initializer_list<std::string_view> arguments, OnReply on_reply) {
    call(std::span(arguments.begin(), arguments.size()), std::move(on_reply));
  }
  void call(std::span<const std::string> arguments, OnReply on_reply);

  bool up() const;
  std::size_t pending() const;  // commands without an answer yet
  // Breaks the connection: everything pending is lost, then the link connects again.
  void reset();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fanfare
