// What a Redis says of its own condition: whether it can write its append-only file, and how much
// room it has.
//
// Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace fanfare::store {

struct RedisHealth {
  bool aof_on = false;
  bool aof_write_ok = true;  // the last write to the append-only file; false: e.g. the disk is full
  bool aof_rewrite_ok = true;  // the last time that it was made smaller
  std::uint64_t aof_bytes = 0;
  std::uint64_t fsyncs_delayed = 0;  // class everysec: the disk was too slow for one a second
  std::uint64_t memory_bytes = 0;
  std::uint64_t memory_max_bytes = 0;  // 0: as much as the machine has
};

// Out of INFO's sections "persistence" and "memory", in one text or two. What is not told stays as
// it is here by default.
RedisHealth parse_redis_health(std::string_view info);

}  // namespace fanfare::store
