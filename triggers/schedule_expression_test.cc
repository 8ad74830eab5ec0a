#include "triggers/schedule_expression.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

WallTime instant(const std::string& text) {
  return *parse_wall_time(text);
}

std::vector<std::string> instants(const std::string& expression, const std::string& zone_name,
                                  const std::string& after, int count,
                                  const std::string& anchor = "1970-01-01T00:00:00Z") {
  std::vector<std::string> found;
  const auto parsed = ScheduleExpression::parse(expression);
  const auto zone = TimeZone::find(zone_name);
  EXPECT_TRUE(parsed) << parsed.error().message;
  EXPECT_TRUE(zone) << zone.error().message;
  if (!parsed || !zone) return found;
  std::optional<WallTime> at = instant(after);
  for (int i = 0; i < count; ++i) {
    at = parsed->next(*at, *zone, instant(anchor));
    found.push_back(at ? format_wall_time(*at).substr(0, 16) : "never");
    if (!at) break;
  }
  return found;
}

std::string why_not(const std::string& expression) {
  const auto parsed = ScheduleExpression::parse(expression);
  return parsed ? "taken" : parsed.error().message;
}

TEST(ScheduleExpression, RateCountsFromItsAnchor) {
  EXPECT_THAT(instants("rate(5 minutes)", "UTC", "2026-11-28T12:01:00Z", 2, "2026-11-28T12:00:30Z"),
              ElementsAre("2026-11-28T12:05", "2026-11-28T12:10"));
  // The anchor is its first instant, and however long ago that was costs nothing.
  EXPECT_THAT(instants("rate(1 hour)", "UTC", "2026-01-01T00:00:00Z", 2, "2026-11-28T12:00:00Z"),
              ElementsAre("2026-11-28T12:00", "2026-11-28T13:00"));
  EXPECT_THAT(instants("rate(1 minute)", "UTC", "2199-01-01T00:00:00Z", 1),
              ElementsAre("2199-01-01T00:01"));
}

TEST(ScheduleExpression, RateDoesNotLookAtLocalTime) {
  EXPECT_THAT(instants("rate(1 day)", "America/New_York", "2026-03-07T12:00:00Z", 2,
                       "2026-03-01T12:00:00Z"),
              ElementsAre("2026-03-08T12:00", "2026-03-09T12:00"));
}

TEST(ScheduleExpression, EveryTakesAnyPeriod) {
  EXPECT_EQ(ScheduleExpression::parse("@every 90s")->period(), 90s);
  EXPECT_EQ(ScheduleExpression::parse("@every 1h30m")->period(), 90min);
  EXPECT_EQ(ScheduleExpression::parse("@every 1.5h")->period(), 90min);
  EXPECT_EQ(ScheduleExpression::parse(" rate( 2  days ) ")->period(), 48h);
  EXPECT_FALSE(ScheduleExpression::parse("@daily")->period());
}

TEST(ScheduleExpression, AtFiresOnceInItsZone) {
  EXPECT_THAT(instants("at(2026-12-24T18:00:00)", "Europe/Berlin", "2026-11-28T00:00:00Z", 5),
              ElementsAre("2026-12-24T17:00", "never"));
  EXPECT_TRUE(ScheduleExpression::parse("at(2026-12-24T18:00:00)")->once());
}

TEST(ScheduleExpression, NicknamesStandForTheirFields) {
  EXPECT_THAT(instants("@hourly", "UTC", "2026-11-28T12:30:00Z", 1),
              ElementsAre("2026-11-28T13:00"));
  EXPECT_THAT(instants("@daily", "UTC", "2026-11-28T12:30:00Z", 1),
              ElementsAre("2026-11-29T00:00"));
  EXPECT_THAT(instants("@weekly", "UTC", "2026-11-28T12:30:00Z", 2),
              ElementsAre("2026-11-29T00:00", "2026-12-06T00:00"));
  EXPECT_THAT(instants("@monthly", "UTC", "2026-11-28T12:30:00Z", 1),
              ElementsAre("2026-12-01T00:00"));
  EXPECT_THAT(instants("@yearly", "UTC", "2026-11-28T12:30:00Z", 1),
              ElementsAre("2027-01-01T00:00"));
}

TEST(ScheduleExpression, CronIsReadInItsZone) {
  EXPECT_THAT(instants("cron(0 9 ? * MON-FRI *)", "Asia/Kolkata", "2026-11-27T03:30:00Z", 2),
              ElementsAre("2026-11-30T03:30", "2026-12-01T03:30"));
  EXPECT_THAT(instants("0 0 29 2 *", "Europe/Berlin", "2026-11-27T03:30:00Z", 1),
              ElementsAre("2028-02-28T23:00"));
}

TEST(ScheduleExpression, SaysWhatIsWrongAndWhichFormsThereAre) {
  EXPECT_THAT(why_not("every 5 minutes"), HasSubstr("rate(5 minutes), cron("));
  EXPECT_THAT(why_not(""), HasSubstr("is no schedule"));
  EXPECT_THAT(why_not("@reboot"), HasSubstr("@hourly"));
  EXPECT_THAT(why_not("rate(1 hours)"), HasSubstr("should be rate(1 hour)"));
  EXPECT_THAT(why_not("rate(5 minute)"), HasSubstr("should be rate(5 minutes)"));
  EXPECT_THAT(why_not("rate(0 minutes)"), HasSubstr("'0' for a number"));
  EXPECT_THAT(why_not("rate(5 seconds)"), HasSubstr("@every 90s takes any"));
  EXPECT_THAT(why_not("rate(5)"), HasSubstr("'' for a unit"));
  EXPECT_THAT(why_not("rate(4000000 days)"), HasSubstr("100 years"));
  EXPECT_THAT(why_not("@every 100ms"), HasSubstr("1s to 100 years"));
  EXPECT_THAT(why_not("@every soon"), HasSubstr("is not a duration"));
  EXPECT_THAT(why_not("at(2026-02-30T00:00:00)"), HasSubstr("is not a date and time"));
  EXPECT_THAT(why_not("at(2026-12-24 18:00:00)"), HasSubstr("yyyy-mm-ddThh:mm:ss"));
  EXPECT_THAT(why_not("at(2026-12-24T18:00:00"), HasSubstr("is no schedule"));
  EXPECT_THAT(why_not("0 12 ? * MON-FRI *"), HasSubstr("six belong into cron(…)"));
  EXPECT_THAT(why_not(std::string(300, '*')), HasSubstr("256"));
}

TEST(TimeZone, NamesTheNearestZone) {
  const auto missing = TimeZone::find("Europe/Berlim");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("perhaps Europe/Berlin"));
  EXPECT_FALSE(TimeZone::find("../../../etc/passwd"));
  EXPECT_FALSE(TimeZone::find(""));
  EXPECT_EQ(TimeZone::find("UTC")->name(), "UTC");
}

}  // namespace
}  // namespace fanfare::triggers
