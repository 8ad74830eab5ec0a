// The messages between the broker and a worker that has no way to Redis: what such a worker wants
// of Redis, and the answers. Part of messages.h, which says what holds for all of them.
//
// There are four questions and no others, so the broker is no way to run any command of Redis.
// `request` is the worker's number, not 0; the answer carries it, and so does the Refused that
// comes instead: kQueueFull, kUnavailable and kNotAllowed say "wait, and send it again", anything
// else that the same question will never do. An answer that does not come is an unknown outcome:
// the worker sends the same frame again, in the next session, or in the same one after a while.
//
// Sizes: a call has at most 256 deliveries and writes, and 256 KiB of records and effects unless it
// has one delivery; that one is below 11 MiB by the limits of results (8 MiB), rows (1 MiB) and
// published events, so every frame is below kMessageBytesMax.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/ids.h"

namespace fanfare::protocol {

enum class Origin : std::uint8_t;

// Deliveries of one function that succeeded: store::Commit, field by field. kind 32, answered by
// kind 33
struct Commit {
  struct Caused {  // an event for the function's outbox
    std::string to;
    std::string packed_event;
    bool operator==(const Caused&) const = default;
  };
  struct Rows {  // writes to the function's own store
    std::int64_t now_ms = 0;
    std::uint64_t rows_max = 0, bytes_max = 0;
    std::string packed_writes;
    bool operator==(const Rows&) const = default;
  };
  struct Item {
    std::uint8_t index = 0;
    std::uint8_t slot = 0;
    AttemptToken token;
    std::string record;  // packed ResultRecord; empty if results are not stored
    std::vector<Caused> caused;
    std::optional<Rows> rows;
    bool operator==(const Item&) const = default;
  };
  struct Group {  // of one journal entry
    EntryId entry;
    Lane lane;
    Origin origin{};
    std::uint16_t entry_size = 1;
    std::vector<Item> items;
    bool operator==(const Group&) const = default;
  };
  std::uint64_t request = 0;
  std::string function;
  std::int64_t result_ttl_ms = 0;
  std::vector<Group> groups;
  bool operator==(const Commit&) const = default;
};
struct Committed {
  std::uint64_t request = 0;
  std::string verdicts;  // a byte per delivery, in the order of the Commit
  bool operator==(const Committed&) const = default;
};

// Rows of a function's store: those of `keys`, or without keys those that begin with `prefix`,
// behind the key `after`. kind 34, answered by kind 35
struct ReadRows {
  std::uint64_t request = 0;
  std::string function;
  std::int64_t now_ms = 0;
  std::vector<std::string> keys;
  std::string prefix, after;
  std::uint32_t rows_max = 0;
  bool operator==(const ReadRows&) const = default;
};
struct RowsRead {
  struct Row {
    std::string key, value;
    std::int64_t expires_ms = 0;
    bool operator==(const Row&) const = default;
  };
  std::uint64_t request = 0;
  std::vector<Row> rows;
  std::string next;
  bool operator==(const RowsRead&) const = default;
};

// What attempts have used: store::Meter. kind 36, answered by kind 37
struct TellUsage {
  struct Row {
    std::int64_t hour = 0;
    std::string function, tenant;
    std::uint64_t invocations = 0, failed = 0, billed_ms = 0, mb_ms = 0, peak_memory_kb = 0;
    bool operator==(const Row&) const = default;
  };
  std::uint64_t request = 0;
  std::string process;  // "<worker's name>:<pid>:<start>"
  std::uint64_t sequence = 0;
  std::int64_t ttl_ms = 0;
  std::uint32_t hour_rows_max = 0;
  std::vector<Row> rows;
  bool operator==(const TellUsage&) const = default;
};
struct UsageTold {
  std::uint64_t request = 0;
  bool repeated = false;  // it had been counted before
  bool operator==(const UsageTold&) const = default;
};

// A part of a package. Parts are of the broker's size; whoever has all `size` bytes checks their
// digest. The bytes under a digest never change, so a fetch goes on at the next broker. kind 38,
// answered by kind 39
struct FetchPackage {
  std::uint64_t request = 0;
  std::string digest;  // of a function that is deployed: SHA-256, lower-case hex
  std::uint64_t offset = 0;
  bool operator==(const FetchPackage&) const = default;
};
struct PackagePart {
  std::uint64_t request = 0;
  std::uint64_t size = 0;  // of the whole package
  std::string bytes;       // from the offset asked for; empty only at the end
  bool operator==(const PackagePart&) const = default;
};
inline constexpr std::size_t kPackagePartMax = 1u << 20;

}  // namespace fanfare::protocol
