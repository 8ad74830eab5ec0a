// What becomes of schedules when clocks are put forward and back: by story, and against a reference
// that goes through every minute and asks the C library for local time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "triggers/schedule_expression.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using std::chrono::local_days;
using std::chrono::local_seconds;
using std::chrono::sys_seconds;
using ::testing::ElementsAre;

sys_seconds utc(const std::string& text) {
  return std::chrono::floor<std::chrono::seconds>(*parse_wall_time(text));
}

std::vector<std::string> between(const std::string& expression, const std::string& zone_name,
                                 const std::string& from, const std::string& until) {
  std::vector<std::string> found;
  const auto parsed = ScheduleExpression::parse(expression);
  const auto zone = TimeZone::find(zone_name);
  EXPECT_TRUE(parsed && zone);
  for (auto at = parsed->next(utc(from), *zone, {}); at && *at < utc(until);
       at = parsed->next(*at, *zone, {})) {
    found.push_back(format_wall_time(*at).substr(5, 11));
  }
  return found;
}

// New York: 8 March 2026, 02:00 EST is 03:00 EDT (07:00 UTC).
TEST(ClockChange, AFixedTimeThatIsSkippedFiresAtTheEndOfTheGap) {
  EXPECT_THAT(
      between("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", "2026-03-10T00:00:00Z"),
      ElementsAre("03-07T07:30", "03-08T07:00", "03-09T06:30"));
}

TEST(ClockChange, SeveralThatAreSkippedTogetherFireOnce) {
  EXPECT_THAT(between("15,30,45 2,3 * * *", "America/New_York", "2026-03-08T00:00:00Z",
                      "2026-03-09T00:00:00Z"),
              ElementsAre("03-08T07:00", "03-08T07:15", "03-08T07:30", "03-08T07:45"));
  EXPECT_THAT(
      between("0 2,3 * * *", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"),
      ElementsAre("03-08T07:00"));
}

// 1 November 2026, 02:00 EDT is 01:00 EST (06:00 UTC).
TEST(ClockChange, AFixedTimeThatComesTwiceFiresAtTheFirst) {
  EXPECT_THAT(
      between("30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", "2026-11-03T00:00:00Z"),
      ElementsAre("10-31T05:30", "11-01T05:30", "11-02T06:30"));
  EXPECT_THAT(between("at(2026-11-01T01:30:00)", "America/New_York", "2026-10-31T00:00:00Z",
                      "2026-11-03T00:00:00Z"),
              ElementsAre("11-01T05:30"));
}

TEST(ClockChange, WhatIsAskedForWithinTheSecondPassIsNotRepeated) {
  EXPECT_THAT(
      between("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", "2026-11-03T00:00:00Z"),
      ElementsAre("11-02T06:30"));
}

TEST(ClockChange, AStarRunsThroughBothPassesAndOverTheGap) {
  EXPECT_THAT(
      between("*/30 * * * *", "America/New_York", "2026-11-01T04:45:00Z", "2026-11-01T07:15:00Z"),
      ElementsAre("11-01T05:00", "11-01T05:30", "11-01T06:00", "11-01T06:30", "11-01T07:00"));
  EXPECT_THAT(
      between("30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", "2026-03-08T09:00:00Z"),
      ElementsAre("03-08T06:30", "03-08T07:30", "03-08T08:30"));
}

// 5 April 2026, 02:00 is 01:30 (15:00 UTC the day before); 4 October, 02:00 is 02:30 (15:30 UTC).
TEST(ClockChange, HalfAnHourIsNoException) {
  EXPECT_THAT(
      between("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", "2026-04-06T00:00:00Z"),
      ElementsAre("04-04T14:45", "04-05T15:15"));
  EXPECT_THAT(
      between("*/15 * * * *", "Australia/Lord_Howe", "2026-04-04T14:25:00Z",
              "2026-04-04T15:40:00Z"),
      ElementsAre("04-04T14:30", "04-04T14:45", "04-04T15:00", "04-04T15:15", "04-04T15:30"));
  EXPECT_THAT(
      between("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-05T00:00:00Z"),
      ElementsAre("10-03T15:30", "10-04T15:15"));
}

// Samoa had no 30 December 2011: that midnight is 31 December's.
TEST(ClockChange, ADayThatIsSkippedFiresAtItsEnd) {
  EXPECT_THAT(between("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", "2011-12-31T12:00:00Z"),
              ElementsAre("12-29T22:00", "12-30T10:00", "12-30T22:00"));
  EXPECT_THAT(
      between("0 0 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", "2012-12-31T00:00:00Z"),
      ElementsAre("12-30T10:00", "12-29T10:00"));
}

// ---- against a reference ----

// A field as text and as the set it stands for, made together, so that nothing is parsed here.
struct NaiveField {
  std::string text;
  std::vector<bool> chosen;
};
struct NaiveCron {
  NaiveField minute, hour, day, month, weekday;

  std::string text() const {
    return minute.text + ' ' + hour.text + ' ' + day.text + ' ' + month.text + ' ' + weekday.text;
  }
  bool runs_through() const { return minute.text[0] == '*' || hour.text[0] == '*'; }
  bool matches(local_seconds time) const {
    const auto today = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{today};
    const auto of_day = std::chrono::floor<std::chrono::minutes>(time - today).count();
    const bool by_month = day.chosen[static_cast<unsigned>(date.day())];
    const bool by_week = weekday.chosen[std::chrono::weekday{today}.c_encoding()];
    const bool either = day.text[0] != '*' && weekday.text[0] != '*';
    return minute.chosen[static_cast<std::size_t>(of_day % 60)] &&
           hour.chosen[static_cast<std::size_t>(of_day / 60)] &&
           month.chosen[static_cast<unsigned>(date.month())] &&
           (either ? by_month || by_week : by_month && by_week);
  }
};

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  int up_to(int most) { return std::uniform_int_distribution<>{0, most}(engine_); }
  NaiveField field(int low, int high, int star_of_six) {
    NaiveField made{"", std::vector<bool>(static_cast<std::size_t>(high) + 1)};
    const auto choose = [&](int value) { made.chosen[static_cast<std::size_t>(value)] = true; };
    const int kind = up_to(5);
    if (kind < star_of_six) {
      const int step = kind == 0 ? 2 + up_to((high - low) / 2 - 1) : 1;
      made.text = kind == 0 ? "*/" + std::to_string(step) : "*";
      for (int value = low; value <= high; value += step) choose(value);
    } else if (kind == 5) {
      const int first = low + up_to(high - low), last = first + up_to(high - first);
      made.text = std::to_string(first) + "-" + std::to_string(last);
      for (int value = first; value <= last; ++value) choose(value);
    } else {
      for (int n = up_to(3); n >= 0; --n) {
        const int value = low + up_to(high - low);
        made.text += std::to_string(value) + (n > 0 ? "," : "");
        choose(value);
      }
    }
    return made;
  }
  NaiveCron cron() {
    return {field(0, 59, 2), field(0, 23, 3), field(1, 31, 5), field(1, 12, 6), field(0, 6, 5)};
  }

 private:
  std::mt19937 engine_;
};

// The C library's local time of a zone, while this lives.
class LibraryZone {
 public:
  explicit LibraryZone(const std::string& name) {
    setenv("TZ", (":" + name).c_str(), 1);
    tzset();
  }
  ~LibraryZone() {
    unsetenv("TZ");
    tzset();
  }
  local_seconds local(sys_seconds instant) const {
    const std::time_t time = instant.time_since_epoch().count();
    std::tm parts{};
    localtime_r(&time, &parts);
    return local_seconds{instant.time_since_epoch() + std::chrono::seconds{parts.tm_gmtoff}};
  }
};

std::vector<sys_seconds> reference(const NaiveCron& cron, const LibraryZone& zone, sys_seconds from,
                                   sys_seconds until) {
  std::vector<sys_seconds> fires;
  const sys_seconds begin = from - 48h;
  local_seconds reached = zone.local(begin);
  for (sys_seconds at = begin; at < until; at += 1min) {
    const local_seconds local = zone.local(at);
    bool fire = false;
    if (cron.runs_through()) {
      fire = cron.matches(local);
    } else {
      for (auto minute = reached + 1min; minute <= local; minute += 1min) {
        fire = fire || cron.matches(minute);
      }
    }
    reached = std::max(reached, local);
    if (fire && at > from) fires.push_back(at);
  }
  return fires;
}

struct Window {
  const char *zone, *from;
};

class AgainstEveryMinute : public ::testing::TestWithParam<Window> {};

TEST_P(AgainstEveryMinute, FindsTheSameInstants) {
  const auto zone = TimeZone::find(GetParam().zone);
  ASSERT_TRUE(zone) << zone.error().message;
  const LibraryZone library{GetParam().zone};
  const sys_seconds from = utc(GetParam().from), until = from + 96h;
  Dice dice{20261128};
  std::size_t fires = 0;
  for (int n = 0; n < 300; ++n) {
    const NaiveCron cron = dice.cron();
    const auto expression = ScheduleExpression::parse(cron.text());
    ASSERT_TRUE(expression) << expression.error().message;
    const auto expected = reference(cron, library, from, until);
    std::vector<sys_seconds> found;
    for (auto at = expression->next(from, *zone, {}); at && *at < until;
         at = expression->next(*at, *zone, {})) {
      found.push_back(std::chrono::floor<std::chrono::seconds>(*at));
    }
    ASSERT_EQ(found, expected) << cron.text();
    fires += found.size();
    // And from anywhere in between.
    for (int i = 0; i < 50; ++i) {
      const auto after = from + std::chrono::seconds{dice.up_to(96 * 3600 - 1)};
      const auto next = std::ranges::upper_bound(expected, after);
      const auto answer = expression->next(after, *zone, {});
      if (next != expected.end()) {
        ASSERT_EQ(answer, std::optional<WallTime>(*next))
            << cron.text() << " after " << after.time_since_epoch().count();
      } else {
        ASSERT_TRUE(!answer || *answer >= until) << cron.text();
      }
    }
  }
  EXPECT_GT(fires, 1000u);  // else nothing was tried
}

std::string name_of(const ::testing::TestParamInfo<Window>& window) {
  std::string name;
  for (const char c : std::string(window.param.zone) + "_" + std::string(window.param.from, 10)) {
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  }
  return name;
}

INSTANTIATE_TEST_SUITE_P(Zones, AgainstEveryMinute,
                         ::testing::Values(Window{"America/New_York", "2026-03-07T00:00:00Z"},
                                           Window{"Australia/Lord_Howe", "2026-04-03T00:00:00Z"}),
                         name_of);
INSTANTIATE_TEST_SUITE_P(MoreZones, AgainstEveryMinute,
                         ::testing::Values(Window{"America/New_York", "2026-10-31T00:00:00Z"},
                                           Window{"Europe/Berlin", "2026-03-27T12:00:00Z"},
                                           Window{"Europe/Berlin", "2026-10-23T12:00:00Z"},
                                           Window{"Australia/Lord_Howe", "2026-10-02T00:00:00Z"},
                                           Window{"Asia/Kolkata", "2026-03-27T12:00:00Z"},
                                           Window{"UTC", "2026-02-26T00:00:00Z"},
                                           Window{"Pacific/Apia", "2011-12-28T00:00:00Z"},
                                           Window{"America/Sao_Paulo", "2018-11-02T00:00:00Z"}),
                         name_of);

}  // namespace
}  // namespace fanfare::triggers
