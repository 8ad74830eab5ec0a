// The calls on what functions keep of their own: the rows of `context.store()`.
//
// A row is a key, a value and perhaps a time from which it is as good as gone. Times are Unix ms by
// the caller's clock, so that a repeated call says the same. An attempt's writes travel with its
// Commit; WriteRows is for whoever has none: a person at the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fanfare::store {

// What a function may keep. Writes beyond it are refused as a whole; writes that make the store no
// larger never are.
struct RowLimits {
  std::uint64_t rows_max = 1'000'000;
  std::uint64_t bytes_max = 1ull << 30;  // of keys and values
};

struct StoredRow {
  std::string key, value;
  std::int64_t expires_ms = 0;  // 0 = never
  bool operator==(const StoredRow&) const = default;
};

// At most 256 keys. Answer: Rows, those that are there. Read only.
struct GetRows {
  std::string function;
  std::int64_t now_ms = 0;
  std::vector<std::string> keys;
};

// The rows whose keys begin with `prefix`, in the order of their keys' bytes, behind the key
// `after` (empty: from the first). Answers about 256 KiB or kListRowsMax rows at most, and may stop
// early, even before the first row, where many have expired. Read only.
inline constexpr std::uint32_t kListRowsMax = 1000;
struct ListRows {
  std::string function;
  std::int64_t now_ms = 0;
  std::string prefix;
  std::string after;  // begins with prefix, as Rows::next does
  std::uint32_t rows_max = 100;
};
struct Rows {
  std::vector<StoredRow> rows;
  std::string next;  // of a list that goes on: the `after` of the next call
};

// Applies packed writes (protocol/row_writes.h) to a function's store, all or none. A repeat writes
// again, which only increments notice. Writes that only erase are taken even when Redis is full.
struct WriteRows {
  std::string function;
  std::int64_t now_ms = 0;
  RowLimits limits;
  std::string packed;
};
struct RowsWritten {
  enum class Outcome : std::uint8_t {
    kWritten = 0,
    kFull = 4,       // the store would be larger than its limits
    kNotANumber = 5  // an increment of what is no number, or beyond ±(2^53 - 1)
  };
  Outcome outcome = Outcome::kWritten;
};

}  // namespace fanfare::store
