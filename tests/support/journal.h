// A journal as it lies in Redis, for tests that look there: each entry with its events, wherever
// these lie. Throws what is wrong with it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/redis_sync.h"
#include "protocol/ids.h"

namespace fanfare::test {

struct JournalEntry {
  protocol::EntryId id;
  std::vector<std::pair<std::uint8_t, std::string>> events;  // index and packed event, by slot
};

std::vector<JournalEntry> read_journal(RedisSync& redis, const std::string& journal_key);

}  // namespace fanfare::test
