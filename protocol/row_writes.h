// What an attempt changes in its function's store (`context.store()`): packed by the instance,
// passed on by the worker with the result, applied by Redis in the call that commits the result.
//
// One write per key. Byte by byte, numbers big-endian:
//   kind u8 | key size u16 | value size u32 | key | expiry u64 | value
// The expiry is in Unix ms, 0 = never; it and the value stand together because that is how a row
// lies in Redis. An increment's value is the number to add, in decimal; an erasure has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare::protocol {

inline constexpr std::size_t kRowKeyMax = 512;
inline constexpr std::size_t kRowValueMax = 256 * 1024;
inline constexpr std::size_t kRowWritesMax = 256;          // per attempt
inline constexpr std::size_t kRowWriteBytesMax = 1 << 20;  // keys and values, per attempt
// Numbers that are incremented stay within ±(2^53 - 1), which JSON and Redis' Lua keep exactly.
inline constexpr std::int64_t kRowNumberMax = (std::int64_t{1} << 53) - 1;
inline constexpr std::size_t kRowWriteHead = 7;
inline constexpr std::size_t kRowExpiryBytes = 8;

struct RowWrite {
  enum class Kind : std::uint8_t { kPut = 1, kErase = 2, kIncrement = 3 };

  Kind kind = Kind::kPut;
  std::string_view key;
  std::string_view value;
  std::int64_t expires_ms = 0;  // of a put
};

void append_write(std::string& packed, const RowWrite& write);

// Takes the first write off `packed`. Rejects what is cut off.
Result<RowWrite> take_write(std::string_view& packed);

// Rejects what breaks a limit above or a rule of keys and numbers, as bytes from a stranger may.
struct RowWritesSize {
  std::size_t writes = 0;
  std::size_t bytes = 0;  // of keys and values
};
Result<RowWritesSize> check_writes(std::string_view packed);

// A key is 1 to kRowKeyMax bytes of UTF-8 without control characters. The error says what is wrong.
Result<void> check_row_key(std::string_view key);
// The same for what keys begin with; it may be empty.
Result<void> check_row_prefix(std::string_view prefix);

// A row's value as a number, within ±kRowNumberMax; nothing for any other text.
bool parse_row_number(std::string_view text, std::int64_t& number);

}  // namespace fanfare::protocol
