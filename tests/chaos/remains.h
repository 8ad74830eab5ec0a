// What lies in Redis when a run is over, read key by key as docs/redis.md describes it. Throws if
// Redis does not answer, or holds something else.
#pragma once

#include <map>
#include <string>

#include "base/redis_sync.h"
#include "tests/chaos/history.h"

namespace fanfare::chaos {

// The counts of a function, in one atomic read.
Counts read_counts(RedisSync& redis, const std::string& function);

// Result and dead letters of every delivery that anybody knows of: the history's changes, its
// acknowledged submissions, the dead letters.
void read_ended(RedisSync& redis, const std::string& function, History& history);

// What is open in a journal, or lies in `later`. Nobody may write meanwhile.
void read_unfinished(RedisSync& redis, const std::string& function, History& history);

// The function's store: keys and values.
std::map<std::string, std::string> read_rows(RedisSync& redis, const std::string& function);

// Deliveries and outbox of a function that is told of others' ends: nothing is open or on its way.
bool is_at_rest(RedisSync& redis, const std::string& function);

bool has_result(RedisSync& redis, const std::string& function, const protocol::EventId& id);

}  // namespace fanfare::chaos
