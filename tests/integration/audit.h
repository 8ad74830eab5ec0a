// Counting, id by id, what became of acknowledged events, from what lies in Redis alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/redis_options.h"
#include "protocol/ids.h"

namespace fanfare::test {

struct Audit {
  std::size_t acknowledged = 0;
  std::size_t results = 0;                     // acknowledged events that have one
  std::size_t letters = 0;                     // dead letters
  std::size_t repeats = 0;                     // results that took more than one attempt
  std::map<std::string, std::int64_t> counts;  // the function's own
  // What must never be, one line each: an acknowledged event without a result, acknowledged twice,
  // a failure without its one dead letter, counts that do not add up, something still open.
  std::vector<std::string> violations;
};

// Throws if Redis cannot be asked.
Audit audit(const RedisOptions& redis, const std::string& function,
            const std::vector<protocol::EventId>& acknowledged);

// Nothing of the function is open or waits for its next attempt.
bool all_ended(const RedisOptions& redis, const std::string& function);

}  // namespace fanfare::test
