// What whoever shows functions and results asks of Redis, without blocking: a process that neither
// holds the office of broker nor runs functions, as the gateway.
//
// One connection of its own, made again whenever it breaks. Reads change nothing, so nothing is
// repeated: while Redis is away each answer is kRetryLater. kReject: what lies there is not ours.
//
// Lives on the loop's thread. Callbacks never run inside the call; destroying it drops what is
// pending without calling anybody; it must not be destroyed from its own callbacks.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/redis_link.h"
#include "base/result.h"
#include "protocol/ids.h"
#include "protocol/record.h"

namespace fanfare::store {

class Reads {
 public:
  Reads(Loop& loop, RedisOptions redis) : redis_(loop, std::move(redis)) {}

  // Whether a function of this name is deployed.
  void has_function(const std::string& name, std::function<void(Result<bool>)> on_answer);
  // The names of all that are, in no order.
  void functions(std::function<void(Result<std::vector<std::string>>)> on_answer);
  // The result of one delivery, if it has ended and is kept still.
  void result(const std::string& function, const protocol::EventId& event,
              std::function<void(Result<std::optional<protocol::ResultRecord>>)> on_answer);

  bool up() const { return redis_.up(); }

 private:
  RedisLink redis_;
};

}  // namespace fanfare::store
