// The values that lie in Redis under more than one reader: rows of `later`, stored results,
// registered functions. docs/redis.md shows them byte by byte.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "store/calls.h"

namespace fanfare::store {

// What the broker leaves behind when it moves or buries a delivery: the token of the attempt that
// ended so, with the top bit set. That attempt's worker, should it have been given up too early,
// then sees `fenced` and not its own token. A broker's epoch stays below 2^19 for it.
inline constexpr std::uint32_t kByBroker = 0x8000'0000u;
constexpr AttemptToken by_broker(AttemptToken token) {
  return {token.value | kByBroker};
}
constexpr AttemptToken by_attempt(AttemptToken token) {
  return {token.value & ~kByBroker};
}

// token u32 | attempts u32 | accepted_ms u64 | ledger length u32 | ledger | event, big-endian.
struct LaterRow {
  AttemptToken token;
  std::uint32_t attempts = 0;
  std::int64_t accepted_ms = 0;
  std::string_view ledger, event;
};
inline constexpr std::size_t kLaterRowHead = 20;
std::string pack(const LaterRow& row);
Result<LaterRow> view_later_row(std::string_view bytes);  // views into `bytes`

// token u32 big-endian | packed ResultRecord.
inline constexpr std::size_t kResultHead = 4;
struct StoredResult {
  AttemptToken token;
  std::string_view record;
};
Result<StoredResult> view_stored_result(std::string_view bytes);

// A token as it lies before a result.
struct TokenBytes {
  explicit TokenBytes(AttemptToken token) {
    for (std::size_t i = 0; i < kResultHead; ++i) {
      bytes[i] = static_cast<char>(token.value >> (24 - 8 * i) & 0xFF);
    }
  }
  operator std::string_view() const { return {bytes, kResultHead}; }
  char bytes[kResultHead];
};

// "<generation> <active|paused> <digest>\n<manifest>"
std::string pack(const Registered& function);
Result<Registered> unpack_registered(std::string_view name, std::string_view value);

}  // namespace fanfare::store
