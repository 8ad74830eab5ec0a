// The two kinds of time, as types that cannot be mixed up.
//
// TimePoint is monotonic and decides leases, deadlines and timeouts; it means nothing outside this
// boot. WallTime is what people and Redis see (creation times, due times); it may jump, so nothing
// that safety hangs on is decided by it. Cores never read a clock: a `Now` is handed to them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

// Both clocks, read once per turn of a loop, so that everything in the turn agrees on the time.
struct Now {
  TimePoint steady;
  WallTime wall;
};

// Reads the machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). For shells only.
Now read_clocks();

// "250ms", "30s", "5m", "24h", "14d", or a bare number of seconds; "0" is zero. Rejects negative
// values, unknown units and anything over 100 years, naming the text it was given.
Result<Duration> parse_duration(std::string_view text);

// The shortest text that parse_duration reads back as the same value: "30s", "250ms", "1500us".
std::string format_duration(Duration duration);

// RFC 3339 in UTC with milliseconds: "2026-11-23T14:37:00.125Z".
std::string format_wall_time(WallTime time);
// RFC 3339 with any offset ("2026-11-23T15:37:00+01:00"), finer fractions cut to milliseconds, or a
// bare number of Unix milliseconds. Rejects anything else, and what lies before 1970, naming it.
Result<WallTime> parse_wall_time(std::string_view text);

inline std::int64_t to_ms(WallTime time) {
  return time.time_since_epoch().count();
}
inline WallTime wall_from_ms(std::int64_t ms) {
  return WallTime{std::chrono::milliseconds{ms}};
}
inline double to_ms(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

}  // namespace fanfare
