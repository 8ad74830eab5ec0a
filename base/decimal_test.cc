#include "base/decimal.h"

#include <gtest/gtest.h>

namespace fanfare {
namespace {

TEST(SplitDecimal, FindsNumberAndUnit) {
  const auto number = split_decimal(" 12.50 MiB ");
  ASSERT_TRUE(number);
  EXPECT_EQ(number->whole, "12");
  EXPECT_EQ(number->fraction, "50");
  EXPECT_EQ(number->unit, "MiB");
}

TEST(SplitDecimal, RefusesWhatIsNoNumber) {
  EXPECT_FALSE(split_decimal(""));
  EXPECT_FALSE(split_decimal("MiB"));
  EXPECT_FALSE(split_decimal("1.x"));
  EXPECT_FALSE(split_decimal("-1"));
}

TEST(Scale, IsExactOrNothing) {
  const auto scaled = [](std::string_view text, std::uint64_t unit,
                         std::uint64_t max = UINT64_MAX) {
    return scale(*split_decimal(text), unit, max);
  };
  EXPECT_EQ(scaled("1.25", 1000), 1250u);
  EXPECT_EQ(scaled(".5", 2), 1u);
  EXPECT_EQ(scaled("0.1", 1024), std::nullopt);
  EXPECT_EQ(scaled("0.125", 1024), 128u);
  EXPECT_EQ(scaled("1.0000000000000000000000000000", 3), 3u);
  EXPECT_EQ(scaled("1.0000000000000000000000000001", 3), std::nullopt);
  EXPECT_EQ(scaled("18446744073709551615", 1), UINT64_MAX);
  EXPECT_EQ(scaled("18446744073709551616", 1), std::nullopt);
  EXPECT_EQ(scaled("18446744073709551615", 2), std::nullopt);
  EXPECT_EQ(scaled("10.5", 2, 20), std::nullopt);
  EXPECT_EQ(scaled("10.5", 2, 21), 21u);
  EXPECT_EQ(scaled("0.5", UINT64_MAX - 1), UINT64_MAX / 2);
}

}  // namespace
}  // namespace fanfare
