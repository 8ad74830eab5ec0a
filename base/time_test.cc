#include "base/time.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(ParseDuration, ReadsEveryUnit) {
  EXPECT_EQ(*parse_duration("7ns"), 7ns);
  EXPECT_EQ(*parse_duration("1500us"), 1500us);
  EXPECT_EQ(*parse_duration("250ms"), 250ms);
  EXPECT_EQ(*parse_duration("30s"), 30s);
  EXPECT_EQ(*parse_duration("5m"), 5min);
  EXPECT_EQ(*parse_duration("24h"), 24h);
  EXPECT_EQ(*parse_duration("14d"), 14 * 24h);
}

TEST(ParseDuration, TakesABareNumberForSeconds) {
  EXPECT_EQ(*parse_duration("90"), 90s);
  EXPECT_EQ(*parse_duration("0"), 0s);
  EXPECT_EQ(*parse_duration("0.25"), 250ms);
}

TEST(ParseDuration, ReadsFractionsExactly) {
  EXPECT_EQ(*parse_duration("1.5s"), 1500ms);
  EXPECT_EQ(*parse_duration("0.1ms"), 100us);
  EXPECT_EQ(*parse_duration(" 2.50 h "), 150min);
}

TEST(ParseDuration, RejectsWithTheTextItWasGiven) {
  for (const char* text : {"", "s", "-5s", "5 weeks", "1.s", "1e3s", "five", "5s5s", "0x5"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kReject);
    EXPECT_THAT(parsed.error().message, HasSubstr("'" + std::string(text) + "'"));
  }
}

TEST(ParseDuration, StopsAtAHundredYearsAndAtANanosecond) {
  EXPECT_TRUE(parse_duration("36525d"));
  EXPECT_FALSE(parse_duration("36526d"));
  EXPECT_FALSE(parse_duration("99999999999999999999999999d"));
  EXPECT_FALSE(parse_duration("0.1ns"));
}

TEST(FormatDuration, WritesTheShortestTextThatReadsBackTheSame) {
  EXPECT_EQ(format_duration(0s), "0");
  EXPECT_EQ(format_duration(30s), "30s");
  EXPECT_EQ(format_duration(90s), "90s");
  EXPECT_EQ(format_duration(120s), "2m");
  EXPECT_EQ(format_duration(250ms), "250ms");
  EXPECT_EQ(format_duration(1500us), "1500us");
  EXPECT_EQ(format_duration(24h), "1d");
  for (const Duration duration : {Duration{1ns}, Duration{1234567us}, Duration{36525 * 24h}}) {
    EXPECT_EQ(*parse_duration(format_duration(duration)), duration);
  }
}

TEST(FormatWallTime, WritesRfc3339InUtcWithMilliseconds) {
  EXPECT_EQ(format_wall_time(wall_from_ms(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_wall_time(wall_from_ms(1795531020125)), "2026-11-24T14:37:00.125Z");
  EXPECT_EQ(format_wall_time(wall_from_ms(951827696789)), "2000-02-29T12:34:56.789Z");
}

TEST(ReadClocks, NeverGoesBackOnTheSteadyClock) {
  const Now first = read_clocks();
  const Now second = read_clocks();
  EXPECT_LE(first.steady, second.steady);
  EXPECT_GT(to_ms(first.wall), to_ms(wall_from_ms(1'600'000'000'000)));
}

}  // namespace
}  // namespace fanfare
