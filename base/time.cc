#include "base/time.h"

#include <fmt/format.h>

#include <array>
#include <ctime>

#include "base/decimal.h"

namespace fanfare {
namespace {

struct TimeUnit {
  std::string_view name;
  std::uint64_t nanoseconds;
};
// Largest first; the one a bare number means is seconds.
constexpr std::array<TimeUnit, 7> kTimeUnits{{{"d", 86'400'000'000'000},
                                              {"h", 3'600'000'000'000},
                                              {"m", 60'000'000'000},
                                              {"s", 1'000'000'000},
                                              {"ms", 1'000'000},
                                              {"us", 1'000},
                                              {"ns", 1}}};
constexpr std::uint64_t kLongest = 36'525ull * 86'400'000'000'000;  // 100 years

}  // namespace

Now read_clocks() {
  timespec wall{};
  clock_gettime(CLOCK_REALTIME, &wall);
  const auto since_epoch =
      std::chrono::seconds{wall.tv_sec} + std::chrono::nanoseconds{wall.tv_nsec};
  return {std::chrono::steady_clock::now(),
          WallTime{std::chrono::floor<std::chrono::milliseconds>(since_epoch)}};
}

Result<Duration> parse_duration(std::string_view text) {
  const auto number = split_decimal(text);
  const std::string_view name = number && number->unit.empty() ? "s" : number ? number->unit : "";
  for (const TimeUnit& unit : kTimeUnits) {
    if (name != unit.name) continue;
    if (const auto nanoseconds = scale(*number, unit.nanoseconds, kLongest)) {
      return Duration{static_cast<std::int64_t>(*nanoseconds)};
    }
    return reject(fmt::format("'{}' is not between 0 and 100 years in whole nanoseconds", text));
  }
  return reject(fmt::format(
      "'{}' is not a duration: write a number and one of ms, s, m, h, d, as in 30s", text));
}

std::string format_duration(Duration duration) {
  const std::int64_t count = duration.count();
  if (count == 0) return "0";
  for (const TimeUnit& unit : kTimeUnits) {
    const auto nanoseconds = static_cast<std::int64_t>(unit.nanoseconds);
    if (count % nanoseconds == 0) return fmt::format("{}{}", count / nanoseconds, unit.name);
  }
  return fmt::format("{}ns", count);
}

std::string format_wall_time(WallTime time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace fanfare
