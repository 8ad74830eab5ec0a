// Whether a Redis can keep what a durability class promises, asked before anything is promised.
#pragma once

#include <string>
#include <string_view>

#include "base/redis_options.h"
#include "base/result.h"

namespace fanfare::store {

// What a server says of itself: INFO's redis_version, and settings.
struct ServerFacts {
  std::string version, maxmemory_policy, appendonly, appendfsync;
};

// Whether such a server will do; `where` is how messages name it. kFatal as below.
Result<void> judge_server(const ServerFacts& facts, std::string_view durability,
                          std::string_view where);

// Asks the server for its version, eviction policy and append-only file, blocking: for start-up
// only. `durability` is fsync, everysec or memory. Waits up to `patience` for a server that is not
// there yet or is still loading. kReconnect: nobody answered; kFatal: it is the wrong kind of
// Redis, and the message says which setting to change.
//
// fsync needs `appendonly yes` and `appendfsync always`, everysec the same with `everysec` or
// `always`; memory needs neither for its events, but retries, letters and results lie in Redis all
// the same. All need Redis 7.0 (functions) and `maxmemory-policy noeviction`: another policy would
// delete accepted events.
Result<void> check_server(const RedisOptions& redis, std::string_view durability,
                          Duration patience = std::chrono::seconds{10});

}  // namespace fanfare::store
