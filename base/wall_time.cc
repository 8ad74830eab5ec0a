// Reading instants as people and other programs write them.
#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/time.h"

namespace fanfare {
namespace {

constexpr std::int64_t kLatestMs = 253'402'300'799'999;  // the end of year 9999

// Takes exactly `digits` of them off the front.
std::optional<int> take_number(std::string_view& text, std::size_t digits) {
  int value = 0;
  if (text.size() < digits) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + digits, value);
  if (error != std::errc{} || end != text.data() + digits || text[0] == '-') return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view one_of) {
  if (text.empty() || one_of.find(text[0]) == one_of.npos) return false;
  text.remove_prefix(1);
  return true;
}

std::optional<std::chrono::milliseconds> take_fraction(std::string_view& text) {
  if (!take(text, ".")) return std::chrono::milliseconds{0};
  int ms = 0, digits = 0;
  for (; !text.empty() && text[0] >= '0' && text[0] <= '9'; text.remove_prefix(1), ++digits) {
    if (digits < 3) ms = 10 * ms + (text[0] - '0');
  }
  for (int i = digits; i < 3; ++i) ms *= 10;
  if (digits == 0) return std::nullopt;
  return std::chrono::milliseconds{ms};
}

// "Z" or "+01:00".
std::optional<std::chrono::minutes> take_offset(std::string_view& text) {
  if (take(text, "Zz")) return std::chrono::minutes{0};
  const bool behind = text.starts_with('-');
  if (!take(text, "+-")) return std::nullopt;
  const auto hours = take_number(text, 2);
  const bool colon = take(text, ":");
  const auto minutes = take_number(text, 2);
  if (!hours || !colon || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  const std::chrono::minutes offset{60 * *hours + *minutes};
  return behind ? -offset : offset;
}

std::optional<WallTime> read_rfc3339(std::string_view text) {
  using namespace std::chrono;
  const auto year = take_number(text, 4);
  const bool dash = take(text, "-");
  const auto month = take_number(text, 2);
  const bool dash_again = take(text, "-");
  const auto day = take_number(text, 2);
  const bool between = take(text, "Tt ");
  const auto hour = take_number(text, 2);
  const bool colon = take(text, ":");
  const auto minute = take_number(text, 2);
  const bool colon_again = take(text, ":");
  const auto second = take_number(text, 2);
  if (!year || !dash || !month || !dash_again || !day || !between || !hour || !colon || !minute ||
      !colon_again || !second) {
    return std::nullopt;
  }
  const auto fraction = take_fraction(text);
  const auto offset = take_offset(text);
  const year_month_day date{std::chrono::year{*year}, std::chrono::month(unsigned(*month)),
                            std::chrono::day(unsigned(*day))};
  const bool sound = fraction && offset && text.empty() && date.ok() && *hour < 24 &&
                     *minute < 60 && *second <= 60;  // a leap second is the next one
  if (!sound) return std::nullopt;
  return WallTime{sys_days{date}} + hours{*hour} + minutes{*minute} + seconds{*second} + *fraction -
         *offset;
}

}  // namespace

Result<WallTime> parse_wall_time(std::string_view text) {
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  const bool is_number = error == std::errc{} && end == text.data() + text.size();
  const auto time = is_number ? std::optional{wall_from_ms(ms)} : read_rfc3339(text);
  if (!time || to_ms(*time) < 0 || to_ms(*time) > kLatestMs) {
    return reject(
        fmt::format("'{}' is not an instant: write 2026-11-23T14:37:00Z, with a time zone's offset "
                    "2026-11-23T15:37:00+01:00, or Unix milliseconds",
                    text));
  }
  return *time;
}

}  // namespace fanfare
