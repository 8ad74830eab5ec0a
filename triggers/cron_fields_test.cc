#include "triggers/cron_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using std::chrono::local_days;
using std::chrono::local_seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string local_text(local_seconds time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()));
  return text;
}

// The next `count` times from the beginning of a year.
std::vector<std::string> times(const Result<CronFields>& fields, int year, int count) {
  std::vector<std::string> found;
  EXPECT_TRUE(fields) << fields.error().message;
  if (!fields) return found;
  local_seconds from = local_days{std::chrono::year{year} / 1 / 1};
  for (int i = 0; i < count; ++i) {
    const auto next = fields->next(from);
    if (!next) {
      found.emplace_back("never");
      break;
    }
    found.push_back(local_text(*next));
    from = *next + 1s;
  }
  return found;
}

std::string refusal_of(const Result<CronFields>& fields) {
  return fields ? "taken" : fields.error().message;
}

TEST(UnixCron, EitherFieldOfDaysIsEnoughIfBothAreRestricted) {
  EXPECT_THAT(
      times(parse_unix_cron("30 9 13 * 5"), 2026, 4),
      ElementsAre("2026-01-02 09:30", "2026-01-09 09:30", "2026-01-13 09:30", "2026-01-16 09:30"));
}

TEST(UnixCron, BothFieldsOfDaysCountIfOneBeginsWithAStar) {
  EXPECT_THAT(times(parse_unix_cron("0 0 */2 * 1"), 2026, 3),
              ElementsAre("2026-01-05 00:00", "2026-01-19 00:00", "2026-02-09 00:00"));
}

TEST(UnixCron, SundayIsBoth0And7) {
  const auto zero = parse_unix_cron("0 0 * * 0"), seven = parse_unix_cron("0 0 * * 7");
  EXPECT_EQ(zero->weekdays, seven->weekdays);
  EXPECT_EQ(parse_unix_cron("0 0 * * 5-7")->weekdays, parse_unix_cron("0 0 * * fri-sun")->weekdays);
  EXPECT_THAT(times(zero, 2026, 1), ElementsAre("2026-01-04 00:00"));
}

TEST(UnixCron, TakesListsRangesStepsAndNames) {
  EXPECT_THAT(times(parse_unix_cron("0,30 8-10/2 1 mar,SEP *"), 2026, 5),
              ElementsAre("2026-03-01 08:00", "2026-03-01 08:30", "2026-03-01 10:00",
                          "2026-03-01 10:30", "2026-09-01 08:00"));
  EXPECT_THAT(times(parse_unix_cron("5/25 0 1 1 *"), 2026, 3),
              ElementsAre("2026-01-01 00:05", "2026-01-01 00:30", "2026-01-01 00:55"));
}

TEST(UnixCron, NamesTheFieldAndWhatItTakes) {
  EXPECT_THAT(refusal_of(parse_unix_cron("61 * * * *")),
              HasSubstr("minute '61' is out of range: it takes 0-59"));
  EXPECT_THAT(refusal_of(parse_unix_cron("0 24 * * *")), HasSubstr("hour '24' is out of range"));
  EXPECT_THAT(refusal_of(parse_unix_cron("0 0 0 * *")), HasSubstr("day of the month '0'"));
  EXPECT_THAT(refusal_of(parse_unix_cron("0 0 * MOO *")), HasSubstr("1-12 or JAN-DEC"));
  EXPECT_THAT(refusal_of(parse_unix_cron("0 0 * * 8")), HasSubstr("day of the week '8'"));
  EXPECT_THAT(refusal_of(parse_unix_cron("0 0 L * *")), HasSubstr("'L' is not understood"));
  EXPECT_THAT(refusal_of(parse_unix_cron("*/90 * * * *")), HasSubstr("rate("));
  EXPECT_THAT(refusal_of(parse_unix_cron("5-1 * * * *")), HasSubstr("runs backwards"));
  EXPECT_THAT(refusal_of(parse_unix_cron("1,,2 * * * *")), HasSubstr("lacks a value"));
  EXPECT_THAT(refusal_of(parse_unix_cron("*/0 * * * *")), HasSubstr("lacks a step"));
  EXPECT_THAT(refusal_of(parse_unix_cron("0 0 * * * 2026")), HasSubstr("has 6 fields"));
  EXPECT_THAT(refusal_of(parse_unix_cron("-1 0 * * *")), HasSubstr("minute '-1'"));
}

TEST(EventBridgeCron, CountsDaysOfTheWeekFromSunday) {
  EXPECT_THAT(times(parse_eventbridge_cron("15 10 ? * 6L 2026-2027"), 2026, 2),
              ElementsAre("2026-01-30 10:15", "2026-02-27 10:15"));
  EXPECT_THAT(times(parse_eventbridge_cron("0 12 ? * MON-FRI *"), 2026, 3),
              ElementsAre("2026-01-01 12:00", "2026-01-02 12:00", "2026-01-05 12:00"));
  EXPECT_EQ(parse_eventbridge_cron("0 12 ? * 2-6 *")->weekdays,
            parse_eventbridge_cron("0 12 ? * MON-FRI *")->weekdays);
}

TEST(EventBridgeCron, FindsTheNthWeekday) {
  EXPECT_THAT(times(parse_eventbridge_cron("0 9 ? * 2#1 *"), 2026, 2),
              ElementsAre("2026-01-05 09:00", "2026-02-02 09:00"));
  EXPECT_THAT(times(parse_eventbridge_cron("0 9 ? * 6#5 *"), 2026, 2),
              ElementsAre("2026-01-30 09:00", "2026-05-29 09:00"));
}

TEST(EventBridgeCron, FindsTheLastDayAndTheLastWeekday) {
  EXPECT_THAT(times(parse_eventbridge_cron("0 0 L * ? *"), 2028, 2),
              ElementsAre("2028-01-31 00:00", "2028-02-29 00:00"));
  EXPECT_THAT(times(parse_eventbridge_cron("0 0 LW * ? *"), 2026, 3),
              ElementsAre("2026-01-30 00:00", "2026-02-27 00:00", "2026-03-31 00:00"));
  EXPECT_THAT(times(parse_eventbridge_cron("0 0 ? * L *"), 2026, 1),
              ElementsAre("2026-01-03 00:00"));
}

TEST(EventBridgeCron, FindsTheNearestWeekdayWithinTheMonth) {
  // 1 August 2026 is a Saturday, 1 March a Sunday, 31 May a Sunday, 15 February a Sunday.
  EXPECT_THAT(times(parse_eventbridge_cron("0 0 1W 3,8 ? 2026"), 2026, 3),
              ElementsAre("2026-03-02 00:00", "2026-08-03 00:00", "never"));
  EXPECT_THAT(times(parse_eventbridge_cron("0 0 31W 5,6 ? 2026"), 2026, 2),
              ElementsAre("2026-05-29 00:00", "never"));
  EXPECT_THAT(times(parse_eventbridge_cron("0 0 15W 2 ? 2026"), 2026, 1),
              ElementsAre("2026-02-16 00:00"));
}

TEST(EventBridgeCron, NamesTheFieldAndWhatItTakes) {
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("0 12 * * * *")), HasSubstr("exactly one"));
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("0 12 ? * ? *")), HasSubstr("exactly one"));
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("0 12 * * ?")), HasSubstr("has 5 fields"));
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("? 12 * * ? *")), HasSubstr("minute '?'"));
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("0 12 32W * ? *")), HasSubstr("'32W' is out of"));
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("0 12 ? * 0 *")), HasSubstr("1-7 (1 is Sunday)"));
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("0 12 ? * 2#6 *")), HasSubstr("1 to 5"));
  EXPECT_THAT(refusal_of(parse_eventbridge_cron("0 12 * * ? 1969")), HasSubstr("1970-2199"));
}

TEST(CronFields, RareDaysAndNeverComeQuickly) {
  EXPECT_THAT(times(parse_eventbridge_cron("0 0 29 2 ? *"), 2097, 2),
              ElementsAre("2104-02-29 00:00", "2108-02-29 00:00"));
  // 29 February on a Monday.
  auto fields = parse_unix_cron("0 0 29 2 *");
  fields->weekdays = 1u << 1;
  EXPECT_THAT(times(fields, 2026, 4), ElementsAre("2044-02-29 00:00", "2072-02-29 00:00",
                                                  "2112-02-29 00:00", "2140-02-29 00:00"));
  EXPECT_THAT(times(parse_unix_cron("0 0 30 2 *"), 2026, 1), ElementsAre("never"));
  const auto begun = std::chrono::steady_clock::now();
  const auto never = *parse_unix_cron("* * 31 2,4,6,9,11 *");
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(never.next(local_days{2026y / 1 / 1}));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 1s);  // minute by minute it were hours
}

TEST(CronFields, ATimeWithinAMinuteIsBehindIt) {
  const auto fields = *parse_unix_cron("* * * * *");
  const local_seconds noon = local_days{2026y / 1 / 1} + 12h;
  EXPECT_EQ(fields.next(noon), noon);
  EXPECT_EQ(fields.next(noon + 1s), noon + 1min);
  EXPECT_FALSE(fields.next(local_days{2200y / 1 / 1}));
  EXPECT_EQ(fields.next(local_days{1000y / 1 / 1}), local_days{1970y / 1 / 1});
}

}  // namespace
}  // namespace fanfare::triggers
