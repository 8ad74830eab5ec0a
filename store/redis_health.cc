#include "store/redis_health.h"

#include <charconv>

namespace fanfare::store {
namespace {

std::uint64_t number_of(std::string_view text) {
  std::uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

void take_field(RedisHealth& health, std::string_view name, std::string_view value) {
  if (name == "aof_enabled") health.aof_on = value == "1";
  if (name == "aof_last_write_status") health.aof_write_ok = value == "ok";
  if (name == "aof_last_bgrewrite_status") health.aof_rewrite_ok = value == "ok";
  if (name == "aof_current_size") health.aof_bytes = number_of(value);
  if (name == "aof_delayed_fsync") health.fsyncs_delayed = number_of(value);
  if (name == "used_memory") health.memory_bytes = number_of(value);
  if (name == "maxmemory") health.memory_max_bytes = number_of(value);
}

}  // namespace

RedisHealth parse_redis_health(std::string_view info) {
  RedisHealth health;
  while (!info.empty()) {
    const std::string_view line = info.substr(0, info.find('\n'));
    info.remove_prefix(line.size() < info.size() ? line.size() + 1 : line.size());
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const std::string_view value = line.substr(colon + 1);
    take_field(health, line.substr(0, colon), value.substr(0, value.find('\r')));
  }
  return health;
}

}  // namespace fanfare::store
