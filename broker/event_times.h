// When a delivery may start, at the earliest and at the latest, as its publisher wished.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/event.h"

namespace fanfare::broker {

// When a caused event is due for which no function is there: a row of `later` that is not to run,
// but to be buried by whatever broker reads it, also if the function has been deployed meanwhile.
inline constexpr std::int64_t kUndeliverableDueMs = 0;

struct EventTimes {
  std::int64_t due_ms = 0;      // Unix ms, 0 = at once
  std::int64_t expires_ms = 0;  // Unix ms, 0 = never
};

// No time is later, in the year 2255: a clock of nanoseconds in 64 bits can still say it, and a
// score in Redis holds it exactly.
inline constexpr std::int64_t kLatestMs = 9'000'000'000'000;

// `accepted_ms` is when the broker accepted the event, in Unix ms: what delay and max_age count
// from. What lies beyond kLatestMs is then; no sum wraps round.
EventTimes times_of(const protocol::PublishOptions& options, std::int64_t accepted_ms);

// When it has to be looked at: when it is due, or has expired before.
std::int64_t due_or_expired_ms(const EventTimes& times);

// The options inside a packed event; none when it has none (or cannot be read, which the broker
// has ruled out before it accepted the event).
std::optional<protocol::PublishOptions> options_of(std::string_view packed_event);

}  // namespace fanfare::broker
