// A function's queue as it lies in Redis, read in pages so that Redis is never held up: a page is
// at most 256 KiB, and between two of them Redis does other work.
//
// What is read is no snapshot: deliveries may start, move or end meanwhile.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/redis_sync.h"
#include "base/result.h"
#include "protocol/ids.h"

namespace fanfare::cli {

// One that has not ended, as far as Redis tells.
struct Queued {
  protocol::EventId id;
  std::int64_t accepted_ms = 0;
  std::uint32_t attempts = 0;          // that failed and count
  std::optional<std::int64_t> due_ms;  // of those in `later`
  bool retrying = false;               // it lies in `later` because an attempt did not do
  std::string packed_event;
};

// Stops when it returns false.
using Visit = std::function<bool(const Queued&)>;

// What the journal's lanes hold, the highest priority first, oldest first within a lane; false if
// `visit` stopped it.
Result<bool> read_journal(RedisSync& redis, const std::string& function, const Visit& visit);
// What lies in `later`, in the order of due times.
Result<bool> read_later(RedisSync& redis, const std::string& function, const Visit& visit);

}  // namespace fanfare::cli
