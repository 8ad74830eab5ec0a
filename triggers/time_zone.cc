#include "triggers/time_zone.h"

#include <date/tz.h>
#include <fmt/format.h>

#include <exception>
#include <vector>

#include "base/nearest.h"

namespace fanfare::triggers {
namespace {

using std::chrono::local_seconds;
using std::chrono::seconds;
using std::chrono::sys_seconds;

TimeZone::Span span_of(const date::sys_info& info) {
  return {info.begin, info.end, info.offset};
}

// What UTC is all the time; its ends lie beyond every year that anybody names.
constexpr TimeZone::Span kUtc{sys_seconds{seconds{-(1ll << 40)}}, sys_seconds{seconds{1ll << 40}},
                              seconds{0}};

}  // namespace

TimeZone::TimeZone() = default;

Result<TimeZone> TimeZone::find(std::string_view name) {
  TimeZone zone;
  if (name == "UTC") return zone;
  try {
    const date::tzdb& database = date::get_tzdb();
    // Its own look-up says no with an exception, and reads files that the name may lead to.
    for (const date::time_zone& known : database.zones) {
      if (known.name() != name) continue;
      zone.rules_ = &known;
      zone.name_ = name;
      known.get_info(sys_seconds{});  // read now, so that nothing fails later
      return zone;
    }
    std::vector<std::string> names;
    for (const date::time_zone& known : database.zones) names.push_back(known.name());
    const std::string meant = nearest(name, names);
    return reject(fmt::format("'{}' is no time zone of this system: write its IANA name, {}", name,
                              meant.empty() ? "such as Europe/Berlin" : "perhaps " + meant));
  } catch (const std::exception& problem) {
    return fatal(
        fmt::format("time zone '{}' cannot be read from this system's database (package tzdata): "
                    "{}",
                    name, problem.what()));
  }
}

TimeZone::Span TimeZone::at(sys_seconds instant) const {
  if (!rules_) return kUtc;
  return span_of(static_cast<const date::time_zone*>(rules_)->get_info(instant));
}

TimeZone::Place TimeZone::find_local(local_seconds time) const {
  if (!rules_) return {Occurs::kOnce, kUtc, {}};
  const auto info = static_cast<const date::time_zone*>(rules_)->get_info(
      date::local_seconds{time.time_since_epoch()});
  switch (info.result) {
    case date::local_info::nonexistent:
      return {Occurs::kNever, span_of(info.first), span_of(info.second)};
    case date::local_info::ambiguous:
      return {Occurs::kTwice, span_of(info.first), span_of(info.second)};
    default:
      return {Occurs::kOnce, span_of(info.first), {}};
  }
}

sys_seconds TimeZone::first_instant(local_seconds time) const {
  const Place place = find_local(time);
  if (place.occurs == Occurs::kNever) return place.second.begin;
  return sys_seconds{time.time_since_epoch()} - place.first.offset;
}

std::string format_local(WallTime instant, const TimeZone& zone) {
  const auto second = std::chrono::floor<seconds>(instant);
  const seconds offset = zone.at(second).offset;
  std::string text = format_wall_time(WallTime{second + offset});
  text.resize(text.size() - std::string_view(".000Z").size());
  if (offset == seconds{0}) return text + 'Z';
  const auto minutes = std::chrono::floor<std::chrono::minutes>(std::chrono::abs(offset)).count();
  return text +
         fmt::format("{}{:02}:{:02}", offset < seconds{0} ? '-' : '+', minutes / 60, minutes % 60);
}

}  // namespace fanfare::triggers
