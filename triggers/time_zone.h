// A time zone of the system's IANA database: which local time it is at an instant, and back.
//
// A value: copies share what was read of the database, which is read once per process and zone.
// Any thread. What the database says ends in 2037; later years are told as its last rule left them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"

namespace fanfare::triggers {

class TimeZone {
 public:
  TimeZone();  // UTC, without the database

  // "Europe/Berlin", "UTC". kReject for a name that the database has not got, with the nearest one
  // that it has; kFatal where there is no database.
  static Result<TimeZone> find(std::string_view name);

  const std::string& name() const { return name_; }

  // A stretch of time, [begin, end), in which local time is ahead of UTC by `offset`.
  struct Span {
    std::chrono::sys_seconds begin, end;
    std::chrono::seconds offset{0};
  };
  Span at(std::chrono::sys_seconds instant) const;

  // Which instants show a local time: one; none, because clocks were put forward over it at the end
  // of `first`; or two, one in each span, because they were put back.
  enum class Occurs { kOnce, kNever, kTwice };
  struct Place {
    Occurs occurs = Occurs::kOnce;
    Span first, second;  // of kOnce only `first`
  };
  Place find_local(std::chrono::local_seconds time) const;

  // The first instant that shows `time`; if none does, the one at which clocks were put forward.
  std::chrono::sys_seconds first_instant(std::chrono::local_seconds time) const;

 private:
  const void* rules_ = nullptr;  // a date::time_zone of the database, which is never unloaded
  std::string name_ = "UTC";
};

// RFC 3339 in local time: "2026-12-24T18:00:00+01:00", in UTC with "Z".
std::string format_local(WallTime instant, const TimeZone& zone);

}  // namespace fanfare::triggers
