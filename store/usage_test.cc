#include "store/usage.h"

#include <gtest/gtest.h>

#include "store/keys.h"

namespace fanfare::store {
namespace {

TEST(UsageRow, IsReadAsItWasWritten) {
  const Usage usage{1, 2, 3, 4'000'000'000'000, 5};
  EXPECT_EQ(to_text(usage), "1 2 3 4000000000000 5");
  EXPECT_EQ(parse_usage(to_text(usage)), usage);
  for (const char* bad : {"", "1 2 3 4", "1 2 3 4 x", "-1 2 3 4 5"}) {
    EXPECT_FALSE(parse_usage(bad)) << bad;
  }
}

TEST(UsageRow, AddsUpAndKeepsThePeak) {
  Usage sum{1, 1, 10, 2560, 300};
  sum += {2, 0, 1014, 259'584, 200};
  EXPECT_EQ(sum, (Usage{3, 1, 1024, 262'144, 300}));
  EXPECT_DOUBLE_EQ(sum.gb_seconds(), 0.256);
}

TEST(UsageRow, HoursAreNamedInUtc) {
  EXPECT_EQ(usage_key(hour_of(1'795'444'620'125)), "fanfare:usage:2026-11-23T14");
  EXPECT_EQ(hour_of(3'599'999), 0);
  EXPECT_EQ(hour_of(3'600'000), 1);
}

TEST(UsageField, SplitsAtTheFirstBlank) {
  const std::string field = usage_field("resize", "a tenant");
  const auto parsed = parse_usage_field(field);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->function, "resize");
  EXPECT_EQ(parsed->tenant, "a tenant");
  EXPECT_EQ(parse_usage_field("resize ")->tenant, "");
  EXPECT_FALSE(parse_usage_field("resize"));
  EXPECT_EQ(usage_field("f", std::string(500, 't')).size(), 2 + kTenantBytesMax);
}

}  // namespace
}  // namespace fanfare::store
