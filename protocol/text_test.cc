#include <gtest/gtest.h>

#include <random>

#include "protocol/base64.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {
namespace {

using namespace std::string_literals;

TEST(Utf8, ReplacesWhatIsNoText) {
  EXPECT_EQ(to_utf8("plain", 100), "plain");
  EXPECT_EQ(to_utf8("a\xFFz", 100), "a\xEF\xBF\xBDz");
  EXPECT_EQ(to_utf8("\xE2\x82", 100), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Utf8, CutsBetweenCharacters) {
  EXPECT_EQ(to_utf8("a\xC3\xA4", 2), "a");
  EXPECT_EQ(to_utf8("a\xC3\xA4", 3), "a\xC3\xA4");
  EXPECT_EQ(to_utf8("\xFF", 2), "");
}

TEST(Base64, RoundTripsAnyBytes) {
  std::mt19937 random{4};
  for (int i = 0; i < 500; ++i) {
    std::string bytes(static_cast<std::size_t>(i % 70), '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    const auto back = from_base64(to_base64(bytes));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, bytes);
  }
  EXPECT_EQ(to_base64("fooba"), "Zm9vYmE=");
}

TEST(Base64, RefusesWhatIsNone) {
  for (const std::string_view text :
       {"A", "AB", "ABC", "A===", "====", "AB=C", "AB==CD==", "AB C", " ABC", "ABC\n", "AB-_"}) {
    EXPECT_FALSE(from_base64(text)) << text;
  }
  EXPECT_EQ(*from_base64(""), "");
}

TEST(JsonText, KnowsJsonTypes) {
  for (const char* type : {"application/json", "Application/JSON ; charset=utf-8", "text/json",
                           "application/vnd.api+json"}) {
    EXPECT_TRUE(is_json_type(type)) << type;
  }
  for (const char* type : {"", "text/plain", "application/jsonx", "application/json5", "json"}) {
    EXPECT_FALSE(is_json_type(type)) << type;
  }
}

TEST(JsonText, CountsBracketsOutsideStringsOnly) {
  const auto nested = [](int depth) {
    const auto n = static_cast<std::size_t>(depth);
    return std::string(n, '[') + std::string(n, ']');
  };
  EXPECT_TRUE(nests_within_bounds(nested(kJsonDepthMax)));
  EXPECT_FALSE(nests_within_bounds(nested(kJsonDepthMax + 1)));
  EXPECT_TRUE(nests_within_bounds('"' + nested(1000) + '"'));
  EXPECT_TRUE(nests_within_bounds("\"\\\"" + nested(1000) + '"'));
  EXPECT_FALSE(nests_within_bounds("\"\\\\\"" + nested(1000)));
}

}  // namespace
}  // namespace fanfare::protocol
