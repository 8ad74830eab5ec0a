#include <gtest/gtest.h>

#include "base/time.h"

namespace fanfare {
namespace {

TEST(WallTimes, AreReadAsTheyAreWritten) {
  for (const std::int64_t ms : {0LL, 1'700'000'000'123LL, 253'402'300'799'999LL}) {
    const auto read = parse_wall_time(format_wall_time(wall_from_ms(ms)));
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(to_ms(*read), ms);
  }
}

TEST(WallTimes, AreReadWithOffsetsFractionsAndAsUnixMilliseconds) {
  const auto expected = parse_wall_time("2026-11-23T14:37:00Z").value();
  EXPECT_EQ(parse_wall_time("2026-11-23T15:37:00+01:00").value(), expected);
  EXPECT_EQ(parse_wall_time("2026-11-23 09:07:00-05:30").value(), expected);
  EXPECT_EQ(parse_wall_time("2026-11-23t14:37:00.0z").value(), expected);
  EXPECT_EQ(to_ms(parse_wall_time("2026-11-23T14:37:00.1259Z").value()), to_ms(expected) + 125);
  EXPECT_EQ(to_ms(parse_wall_time("2026-11-23T14:37:00.5Z").value()), to_ms(expected) + 500);
  EXPECT_EQ(parse_wall_time(std::to_string(to_ms(expected))).value(), expected);
  EXPECT_EQ(to_ms(parse_wall_time("2016-12-31T23:59:60Z").value()),
            to_ms(parse_wall_time("2017-01-01T00:00:00Z").value()));
}

TEST(WallTimes, ThatAreNoneAreRefusedByName) {
  for (const char* text :
       {"", "tomorrow", "2026-11-23", "2026-11-23T14:37:00", "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z", "2026-11-23T24:00:00Z", "2026-11-23T14:37:00.Z",
        "2026-11-23T14:37:00+1:00", "2026-11-23T14:37:00Z ", "1969-12-31T23:59:59Z", "-1",
        "1700000000000ms", "999999999999999", "20-6-11-23T14:37:00Z"}) {
    const auto read = parse_wall_time(text);
    ASSERT_FALSE(read) << text;
    EXPECT_NE(read.error().message.find(std::string("'") + text), std::string::npos);
  }
}

}  // namespace
}  // namespace fanfare
