// Deliveries that wait for another attempt, read from Redis: why the last one failed, and when the
// next may begin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "base/time.h"
#include "protocol/ids.h"
#include "protocol/record.h"

namespace fanfare::cli {

struct Retrying {
  protocol::EventId id;
  std::string function;
  std::optional<protocol::AttemptRow> last;  // none: delayed, and not tried yet
  std::int64_t due_ms = 0;                   // Unix; once it is past, the attempt runs or may run
};

// What Redis has of the event for `functions`: nothing for those whose delivery is in its first
// attempt, before it, or ended.
Result<std::vector<Retrying>> read_retrying(RedisSync& redis,
                                            const std::vector<std::string>& functions,
                                            const protocol::EventId& id);
// The delivery of `function` that is due next.
Result<std::optional<Retrying>> next_retrying(RedisSync& redis, const std::string& function);

// The number of the attempt that follows this row: what was lost, handed back or redriven has used
// up none.
std::uint32_t attempt_after(const protocol::AttemptRow& last);

// "flaky: attempt 2 function_error (NotYet: attempt 2 of 9); attempt 3 in 1.8 s"
std::string format_retrying(const Retrying& retrying, WallTime now);
WallTime wall_now();

}  // namespace fanfare::cli
