// The names of things that travel: events, journal entries, lanes, attempts.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace fanfare::protocol {

// The id of a journal entry: a Redis stream id, `<ms>-<seq>`. One chunk of at most kChunkEventsMax
// events is appended under one entry id, the same in every function's journal.
struct EntryId {
  std::uint64_t ms = 0;
  std::uint64_t seq = 0;
  friend auto operator<=>(const EntryId&, const EntryId&) = default;
};

// An event's id, `<ms>-<seq>.<index>`: unique for ever, printed as `id` everywhere. With a
// function's name it also names the delivery of the event to that function.
struct EventId {
  EntryId entry;
  std::uint8_t index = 0;
  friend auto operator<=>(const EventId&, const EventId&) = default;
};

std::string to_string(const EntryId& id);
std::string to_string(const EventId& id);
Result<EntryId> parse_entry_id(std::string_view text);
Result<EventId> parse_event_id(std::string_view text);  // rejects with the text it was given

// A part of a function's journal with a window of its own in the broker:
// priority (0-9) × 17 + (0, or 1 + hash(tenant or ordering key) mod 16).
// Written in key names as "4" (priority 4, no key) or "4.7" (priority 4, hash 7).
struct Lane {
  std::uint16_t number = 4 * 17;
  // Of events without a tenant and without an ordering key.
  bool is_plain() const { return number % 17 == 0; }
  friend auto operator<=>(const Lane&, const Lane&) = default;
};
inline constexpr Lane kDefaultLane{};
Lane lane_of(std::uint8_t priority, std::string_view tenant_or_ordering_key);
std::string to_string(Lane lane);
Result<Lane> parse_lane(std::string_view text);

// What fences one attempt: broker epoch (20 bits) and the number of the dispatch (12 bits), so no
// two attempts of a delivery carry the same one. Never 0: in the journal's `open` states 0 means
// open.
struct AttemptToken {
  std::uint32_t value = 0;
  friend auto operator<=>(const AttemptToken&, const AttemptToken&) = default;
};
AttemptToken make_token(std::uint32_t epoch, std::uint32_t dispatch_number);
inline constexpr std::uint32_t kAttemptNumberMax = 0xFFF;  // beyond it they wrap round

inline constexpr std::size_t kChunkEventsMax = 256;              // events a journal entry may hold
inline constexpr std::size_t kChunkBytesMax = 256 * 1024;        // unless a single event is larger
inline constexpr std::size_t kEventDataBytesMax = 1 << 20;       // default of max_event_bytes
inline constexpr std::size_t kEventDataBytesCeiling = 8u << 20;  // what that may be set to, at most
inline constexpr std::size_t kMessageBytesMax = 16u << 20;       // ZMQ_MAXMSGSIZE on every socket

// [a-zA-Z0-9-_]{1,64}: safe in key names, file names and metrics.
bool is_function_name(std::string_view name);

// 1 to 255 bytes without control characters: what a host may be called, a number behind it, and
// what people read in tables and logs.
bool is_worker_name(std::string_view name);

}  // namespace fanfare::protocol

template <>
struct std::hash<fanfare::protocol::EventId> {
  std::size_t operator()(const fanfare::protocol::EventId& id) const {
    std::uint64_t mixed = id.entry.ms * 0x9E3779B97F4A7C15ull;
    mixed ^= (id.entry.seq << 8 | id.index) * 0xC2B2AE3D27D4EB4Full;
    return mixed ^ (mixed >> 29);
  }
};
