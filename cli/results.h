// Reading what became of deliveries, from Redis, and waiting for it with the broker's help.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "client/blocking_client.h"
#include "protocol/ids.h"
#include "protocol/record.h"

namespace fanfare::cli {

// The stored result of one delivery, or nothing if it has not ended or its result has expired.
Result<std::optional<protocol::ResultRecord>> read_result(RedisSync& redis,
                                                          const std::string& function,
                                                          const protocol::EventId& id);

// The names of all deployed functions.
Result<std::vector<std::string>> function_names(RedisSync& redis);

using Results = std::map<std::string, protocol::ResultRecord>;  // by function

// Results of the event for `functions`, those that are there.
Result<Results> read_results(RedisSync& redis, const std::vector<std::string>& functions,
                             const protocol::EventId& id);

// What a waiting command does between two looks, every kMeanwhileEvery or so; may be empty.
using Meanwhile = std::function<void()>;
inline constexpr Duration kMeanwhileEvery = std::chrono::milliseconds{500};

// Waits until all of `functions` have a result or the time is up; returns those that have.
Result<Results> wait_results(RedisSync& redis, client::BlockingClient& broker,
                             const std::vector<std::string>& functions, const protocol::EventId& id,
                             Duration timeout, const Meanwhile& meanwhile = {});

}  // namespace fanfare::cli
