#include "cli/webhook_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kUrl = "https://example.org/hooks/T0/secret?token=abc";

TEST(WebhookState, IsARowAboutOneUrlThatDoesNotSayIt) {
  const std::string row = disabled_row("2026-11-29T00:00:00Z", "it is gone", kUrl);
  for (const char* secret : {"example.org", "secret", "abc"}) {
    EXPECT_THAT(row, Not(HasSubstr(secret)));
  }
  const auto disabled = parse_disabled(row, kUrl);
  ASSERT_TRUE(disabled);
  EXPECT_EQ(disabled->since, "2026-11-29T00:00:00Z");
  EXPECT_EQ(disabled->why, "it is gone");
  EXPECT_FALSE(parse_disabled(row, "https://example.org/hooks/T0/other?token=abc"));
}

TEST(WebhookState, UnderstandsOtherRows) {
  const std::string of_before = R"({"since":"s","why":"w","url":"https://example.org/a"})";
  EXPECT_TRUE(parse_disabled(of_before, "https://example.org/a"));
  EXPECT_FALSE(parse_disabled(of_before, "https://example.org/b"));
  EXPECT_TRUE(parse_disabled(R"({"why":"any"})", kUrl));
  EXPECT_EQ(parse_disabled("by hand", kUrl)->why, "by hand");
}

}  // namespace
}  // namespace fanfare::cli
