// What a cron expression says, as sets, and the next local time that is in all of them.
//
// A calendar only: no time zone, no clock. The search goes from year to month to day to minute, so
// it costs the number of years and months it steps over, at most those up to 2199, and never
// minutes.
#pragma once

#include <bitset>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"

namespace fanfare::triggers {

struct CronFields {
  static constexpr int kFirstYear = 1970, kLastYear = 2199;

  std::bitset<60> minutes;
  std::bitset<24> hours;
  std::bitset<32> days;              // of the month, from 1
  std::bitset<32> nearest_weekdays;  // 15W: the weekday nearest to the 15th, within the month
  bool last_day = false;             // L
  bool last_weekday = false;         // LW
  std::bitset<13> months;            // from 1
  std::bitset<7> weekdays;           // 0 is Sunday
  std::bitset<7> last_weekdays;      // 5L: the last Thursday of the month
  std::bitset<35> nth_weekdays;      // 5#2: its second Thursday, at 7 * (2 - 1) + 4
  std::bitset<kLastYear - kFirstYear + 1> years;

  // A day that is in one of the two fields of days is enough; else it must be in both.
  bool either_day = false;
  // The minute or the hour begins with a star: "every so often", not "at this time of day". Decides
  // what becomes of it when clocks are put forward or back, see ScheduleExpression.
  bool runs_through = false;

  // The first time that matches, at `from` or later, in whole minutes; none up to the end of 2199.
  std::optional<std::chrono::local_seconds> next(std::chrono::local_seconds from) const;

  bool operator==(const CronFields&) const = default;
};

// Amazon EventBridge's six fields, "0 12 ? * MON-FRI *": minute, hour, day of the month, month, day
// of the week (1 to 7, from Sunday), year. Exactly one of the days is "?". kReject names the field
// and says what it takes.
Result<CronFields> parse_eventbridge_cron(std::string_view text);

// crontab's five fields, "0 12 * * 1-5": days of the week are 0 to 7, both Sunday. If neither field
// of days begins with a star, one of them is enough.
Result<CronFields> parse_unix_cron(std::string_view text);

}  // namespace fanfare::triggers
