// When a schedule fires: the forms people write, and the next instant after another.
//
//   rate(5 minutes)              every so often, counted from an anchor in absolute time
//   @every 90s, @every 1h30m     the same, in any unit
//   cron(0 12 ? * MON-FRI *)     Amazon EventBridge's six fields
//   0 12 * * 1-5                 crontab's five; @hourly, @daily, @weekly, @monthly, @yearly
//   at(2026-12-24T18:00:00)      once
//
// Clocks that are put forward and back. Fixed times (at, and cron whose minute and hour do not
// begin with a star) fire once for each local time they name: one that is skipped at the first
// instant after the gap, several in one gap together once; one that occurs twice at the first.
// Cron whose minute or hour begins with a star fires at each instant whose local time matches: it
// goes on at its pace, twice through an hour that occurs twice, and not in one that is skipped.
// This is what Vixie's cron does. rate and @every do not look at local time at all.
//
// A value without I/O and clocks. Any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/time.h"
#include "triggers/cron_fields.h"
#include "triggers/time_zone.h"

namespace fanfare::triggers {

class ScheduleExpression {
 public:
  static constexpr std::size_t kTextMax = 256;

  // kReject: says which field is wrong and what it takes, or which forms there are.
  static Result<ScheduleExpression> parse(std::string_view text);

  // The first instant after `after`; none if there is none up to the end of 2199. rate() counts
  // from `anchor`, which is its first instant; nothing else looks at it. Costs about a microsecond,
  // the answer "never" some ten.
  std::optional<WallTime> next(WallTime after, const TimeZone& zone, WallTime anchor) const;

  const std::string& text() const { return text_; }
  // Of rate and @every.
  std::optional<Duration> period() const;
  // Fires at most once, at(…).
  bool once() const { return std::holds_alternative<std::chrono::local_seconds>(when_); }

  bool operator==(const ScheduleExpression&) const = default;

 private:
  using Period = std::chrono::milliseconds;
  using When = std::variant<Period, CronFields, std::chrono::local_seconds>;
  ScheduleExpression(std::string text, When when)
      : text_(std::move(text)), when_(std::move(when)) {}

  std::string text_;
  When when_;
};

}  // namespace fanfare::triggers
