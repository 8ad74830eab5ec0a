#include "triggers/schedule_expression.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace fanfare::triggers {
namespace {

using std::chrono::local_seconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::sys_seconds;

constexpr Duration kPeriodMin = std::chrono::seconds{1};
constexpr Duration kPeriodMax = std::chrono::days{36'525};
constexpr std::string_view kForms =
    "rate(5 minutes), cron(0 12 ? * MON-FRI *), '0 12 * * 1-5', at(2026-12-24T18:00:00), "
    "@every 90s, @hourly, @daily, @weekly, @monthly or @yearly";

// ---- next ----

local_seconds local(sys_seconds instant, const TimeZone::Span& span) {
  return local_seconds{instant.time_since_epoch() + span.offset};
}

sys_seconds instant_of(local_seconds time, const TimeZone::Span& span) {
  return sys_seconds{time.time_since_epoch() - span.offset};
}

// Each local time has one instant, and they grow together: so the next is that of the next local
// time, unless that one has had its turn before clocks were put back.
std::optional<sys_seconds> next_fixed(const CronFields& fields, sys_seconds after,
                                      const TimeZone& zone) {
  local_seconds from = local(after, zone.at(after)) + seconds{1};
  while (const auto time = fields.next(from)) {
    const TimeZone::Place place = zone.find_local(*time);
    const sys_seconds instant = place.occurs == TimeZone::Occurs::kNever
                                    ? place.second.begin
                                    : instant_of(*time, place.first);
    if (instant > after) return instant;
    // The whole doubled stretch has had its turn.
    from = *time + seconds{1};
    if (place.occurs == TimeZone::Occurs::kTwice) from = local(place.first.end, place.first);
  }
  return std::nullopt;
}

std::optional<sys_seconds> next_running_through(const CronFields& fields, sys_seconds after,
                                                const TimeZone& zone) {
  const TimeZone::Span now = zone.at(after);
  const auto soon = fields.next(local(after, now) + seconds{1});
  if (soon && instant_of(*soon, now) < now.end) return instant_of(*soon, now);
  // From the next span on. It may begin with local times that have been before.
  local_seconds from = local(now.end, zone.at(now.end));
  while (const auto time = fields.next(from)) {
    const TimeZone::Place place = zone.find_local(*time);
    if (place.occurs == TimeZone::Occurs::kNever) {
      from = local(place.second.begin, place.second);
      continue;
    }
    const sys_seconds first = instant_of(*time, place.first);
    return first > after ? first : instant_of(*time, place.second);
  }
  return std::nullopt;
}

WallTime next_periodic(milliseconds period, WallTime after, WallTime anchor) {
  if (after < anchor) return anchor;
  return anchor + ((after - anchor) / period + 1) * period;
}

// ---- parse ----

std::string_view trim(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// What stands in "name(…)".
std::optional<std::string_view> inside(std::string_view text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  text = trim(text.substr(name.size()));
  if (text.size() < 2 || !text.starts_with('(') || !text.ends_with(')')) return std::nullopt;
  return trim(text.substr(1, text.size() - 2));
}

Result<milliseconds> check_period(Duration period, std::string_view text) {
  if (period < kPeriodMin || period > kPeriodMax || period % milliseconds{1} != Duration::zero()) {
    return reject(
        fmt::format("'{}': a period takes from 1s to 100 years, in whole milliseconds", text));
  }
  return std::chrono::duration_cast<milliseconds>(period);
}

Result<milliseconds> parse_rate(std::string_view text) {
  const auto wrong = [text](std::string_view why) {
    return reject(
        fmt::format("rate({}) {}: it takes a whole number above 0 and a unit, as in "
                    "rate(1 hour), rate(5 minutes), rate(2 days); @every 90s takes any period",
                    text, why));
  };
  struct Unit {
    std::string_view one, many;
    std::int64_t minutes;
  };
  constexpr std::array<Unit, 3> kUnits{
      {{"minute", "minutes", 1}, {"hour", "hours", 60}, {"day", "days", 1440}}};
  const auto blank = text.find_first_of(" \t");
  const std::string_view number = text.substr(0, blank);
  const std::string_view unit = blank == text.npos ? std::string_view{} : trim(text.substr(blank));
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), count);
  if (error != std::errc{} || end != number.data() + number.size() || count == 0) {
    return wrong(fmt::format("has '{}' for a number", number));
  }
  for (const Unit& known : kUnits) {
    if (unit != known.one && unit != known.many) continue;
    if ((count == 1) != (unit == known.one)) {
      return wrong(
          fmt::format("should be rate({} {})", count, count == 1 ? known.one : known.many));
    }
    if (count > kPeriodMax / std::chrono::minutes{known.minutes}) {
      return wrong("is over 100 years");
    }
    return check_period(std::chrono::minutes{known.minutes * count}, text);
  }
  return wrong(fmt::format("has '{}' for a unit", unit));
}

// One or more durations without blanks, largest first or not: "1h30m".
Result<milliseconds> parse_every(std::string_view text) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  Duration sum{0};
  std::string_view rest = text;
  do {
    std::size_t end = 0;
    while (end < rest.size() && is_digit(rest[end])) ++end;
    while (end < rest.size() && !is_digit(rest[end])) ++end;
    const auto part = parse_duration(rest.substr(0, end));
    if (!part) return reject("@every: " + part.error().message);
    if (*part > kPeriodMax - sum) return check_period(Duration::max(), text);
    sum += *part;
    rest.remove_prefix(end);
  } while (!rest.empty());
  return check_period(sum, text);
}

Result<local_seconds> parse_at(std::string_view text) {
  constexpr std::string_view kShape = "yyyy-mm-ddThh:mm:ss";
  // Read as if it were UTC: the zone comes with next().
  const auto time = text.size() == kShape.size() && text[10] == 'T'
                        ? parse_wall_time(std::string(text) + "Z")
                        : Result<WallTime>(reject({}));
  if (!time) {
    return reject(
        fmt::format("at({}) is not a date and time: it takes {} in the schedule's time zone, as in "
                    "at(2026-12-24T18:00:00)",
                    text, kShape));
  }
  return local_seconds{std::chrono::floor<seconds>(time->time_since_epoch())};
}

std::optional<std::string_view> fields_of_nickname(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kNicknames{
      {{"@yearly", "0 0 1 1 *"},
       {"@annually", "0 0 1 1 *"},
       {"@monthly", "0 0 1 * *"},
       {"@weekly", "0 0 * * 0"},
       {"@daily", "0 0 * * *"},
       {"@midnight", "0 0 * * *"},
       {"@hourly", "0 * * * *"}}};
  for (const auto& [name, fields] : kNicknames) {
    if (text == name) return fields;
  }
  return std::nullopt;
}

}  // namespace

Result<ScheduleExpression> ScheduleExpression::parse(std::string_view given) {
  if (given.size() > kTextMax) {
    return reject(fmt::format("a schedule's expression has at most {} characters", kTextMax));
  }
  const std::string_view text = trim(given);
  const auto made = [&](auto when) -> Result<ScheduleExpression> {
    if (!when) return when.error();
    return ScheduleExpression(std::string(text), When(*std::move(when)));
  };
  if (const auto rate = inside(text, "rate")) return made(parse_rate(*rate));
  if (const auto cron = inside(text, "cron")) return made(parse_eventbridge_cron(*cron));
  if (const auto at = inside(text, "at")) return made(parse_at(*at));
  if (text.starts_with("@every ")) return made(parse_every(trim(text.substr(7))));
  if (const auto fields = fields_of_nickname(text)) return made(parse_unix_cron(*fields));
  const bool is_cron = !text.empty() && (text[0] == '*' || (text[0] >= '0' && text[0] <= '9'));
  if (is_cron) return made(parse_unix_cron(text));
  return reject(fmt::format("'{}' is no schedule: write {}", text, kForms));
}

std::optional<WallTime> ScheduleExpression::next(WallTime after, const TimeZone& zone,
                                                 WallTime anchor) const {
  if (const auto* period = std::get_if<Period>(&when_)) {
    return next_periodic(*period, after, anchor);
  }
  const auto from = std::chrono::floor<seconds>(after);
  if (const auto* time = std::get_if<local_seconds>(&when_)) {
    const sys_seconds instant = zone.first_instant(*time);
    return instant > from ? std::optional<WallTime>(instant) : std::nullopt;
  }
  const CronFields& fields = std::get<CronFields>(when_);
  const auto found = fields.runs_through ? next_running_through(fields, from, zone)
                                         : next_fixed(fields, from, zone);
  return found ? std::optional<WallTime>(*found) : std::nullopt;
}

std::optional<Duration> ScheduleExpression::period() const {
  const auto* period = std::get_if<Period>(&when_);
  return period ? std::optional<Duration>(*period) : std::nullopt;
}

}  // namespace fanfare::triggers
