#include "base/size.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare {
namespace {

using testing::HasSubstr;

TEST(ParseSize, ReadsBinaryAndDecimalUnitsAndPlainBytes) {
  EXPECT_EQ(*parse_size("0"), 0u);
  EXPECT_EQ(*parse_size("4096"), 4096u);
  EXPECT_EQ(*parse_size("12B"), 12u);
  EXPECT_EQ(*parse_size("64KiB"), 65536u);
  EXPECT_EQ(*parse_size("6MB"), 6'000'000u);
  EXPECT_EQ(*parse_size("256MiB"), 256u << 20);
  EXPECT_EQ(*parse_size("1.5 GiB"), 3ull << 29);
  EXPECT_EQ(*parse_size("2tb"), 2'000'000'000'000u);
}

TEST(ParseSize, ReadsWhateverCaseSomebodyWrites) {
  EXPECT_EQ(*parse_size("1kb"), 1000u);
  EXPECT_EQ(*parse_size("1mib"), 1u << 20);
}

TEST(ParseSize, RejectsWithTheTextItWasGiven) {
  for (const char* text : {"", "MiB", "-1", "1.5", "0.0001kB", "1 M", "12 parsecs", "9EiB",
                           "8193PiB", "18446744073709551616"}) {
    const auto parsed = parse_size(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message, HasSubstr("'" + std::string(text) + "'"));
  }
}

TEST(FormatSize, WritesTheShortestTextThatReadsBackTheSame) {
  EXPECT_EQ(format_size(0), "0");
  EXPECT_EQ(format_size(512), "512");
  EXPECT_EQ(format_size(4096), "4KiB");
  EXPECT_EQ(format_size(256u << 20), "256MiB");
  EXPECT_EQ(format_size(6'000'000), "6MB");
  EXPECT_EQ(format_size(1'000'001), "1000001");
  for (const std::uint64_t bytes :
       {std::uint64_t{1}, std::uint64_t{1} << 63, std::uint64_t{10'000'000}}) {
    EXPECT_EQ(*parse_size(format_size(bytes)), bytes);
  }
}

}  // namespace
}  // namespace fanfare
