#include "protocol/row_writes.h"

#include <gtest/gtest.h>

namespace fanfare::protocol {
namespace {

using Kind = RowWrite::Kind;

std::string packed_write(const RowWrite& write) {
  std::string packed;
  append_write(packed, write);
  return packed;
}

TEST(RowWrites, ComeBackAsTheyWerePacked) {
  std::string packed;
  append_write(packed, {Kind::kPut, "form/1", std::string_view("\0\xFF", 2), 1'700'000'000'123});
  append_write(packed, {Kind::kErase, "old", "", 0});
  append_write(packed, {Kind::kIncrement, "count", "-3", 0});
  const auto size = check_writes(packed);
  ASSERT_TRUE(size) << size.error().message;
  EXPECT_EQ(size->writes, 3u);
  EXPECT_EQ(size->bytes, 6u + 2 + 3 + 5 + 2);

  std::string_view rest = packed;
  const auto put = take_write(rest);
  EXPECT_EQ(put->kind, Kind::kPut);
  EXPECT_EQ(put->key, "form/1");
  EXPECT_EQ(put->value, std::string_view("\0\xFF", 2));
  EXPECT_EQ(put->expires_ms, 1'700'000'000'123);
  EXPECT_EQ(take_write(rest)->key, "old");
  EXPECT_EQ(take_write(rest)->value, "-3");
  EXPECT_TRUE(rest.empty());
}

TEST(RowWrites, AreBigEndianAsTheManualSays) {
  EXPECT_EQ(packed_write({Kind::kPut, "k", "vw", 0x0102}),
            std::string("\1\0\1\0\0\0\2k\0\0\0\0\0\0\1\2vw", 18));
}

TEST(RowWrites, AreRefusedWhenTheyAreCutOff) {
  const std::string whole = packed_write({Kind::kPut, "key", "value", 7});
  for (std::size_t size = 1; size < whole.size(); ++size) {
    EXPECT_FALSE(check_writes(whole.substr(0, size))) << size;
  }
  EXPECT_TRUE(check_writes(whole));
  EXPECT_TRUE(check_writes(""));
}

TEST(RowWrites, KeepTheirLimits) {
  EXPECT_TRUE(check_writes(packed_write({Kind::kPut, std::string(512, 'k'), "", 0})));
  EXPECT_FALSE(check_writes(packed_write({Kind::kPut, std::string(513, 'k'), "", 0})));
  EXPECT_TRUE(check_writes(packed_write({Kind::kPut, "k", std::string(kRowValueMax, 'v'), 0})));
  EXPECT_FALSE(
      check_writes(packed_write({Kind::kPut, "k", std::string(kRowValueMax + 1, 'v'), 0})));
  EXPECT_FALSE(check_writes(packed_write({Kind::kPut, "k", "v", -1})));
  EXPECT_FALSE(check_writes(packed_write({Kind::kErase, "k", "v", 0})));
  EXPECT_FALSE(check_writes(packed_write({static_cast<Kind>(4), "k", "", 0})));
  EXPECT_FALSE(check_writes(packed_write({static_cast<Kind>(0), "k", "", 0})));
  std::string many, large;
  for (int i = 0; i < 256; ++i) append_write(many, {Kind::kErase, std::to_string(i), "", 0});
  EXPECT_TRUE(check_writes(many));
  append_write(many, {Kind::kErase, "one more", "", 0});
  EXPECT_FALSE(check_writes(many));
  for (int i = 0; i < 4; ++i) append_write(large, {Kind::kPut, "k", std::string(262'143, 'v'), 0});
  EXPECT_TRUE(check_writes(large));
  append_write(large, {Kind::kPut, "k", "", 0});
  EXPECT_FALSE(check_writes(large));
}

TEST(RowWrites, AcceptOnlyKeysThatArePlainText) {
  for (const char* good : {"a", "form/2026-11-28/1-0.3", "ключ", "a b", "{}*?[]"}) {
    EXPECT_TRUE(check_row_key(good)) << good;
  }
  EXPECT_EQ(check_row_key("").error().message, "a key is empty");
  EXPECT_EQ(check_row_key("\xC3").error().message, "a key is not UTF-8");
  EXPECT_EQ(check_row_key("a\nb").error().message, "a key has a control character in it");
  EXPECT_EQ(check_row_key(std::string(513, 'k')).error().message,
            "a key has 513 bytes, the limit is 512");
  EXPECT_TRUE(check_row_prefix(""));
  EXPECT_FALSE(check_row_prefix("\x7F"));
}

TEST(RowWrites, KnowNumbersThatAreExactEverywhere) {
  std::int64_t number = 0;
  EXPECT_TRUE(parse_row_number("9007199254740991", number));
  EXPECT_EQ(number, kRowNumberMax);
  EXPECT_TRUE(parse_row_number("-9007199254740991", number));
  for (const char* bad :
       {"", "9007199254740992", "1.5", " 1", "+1", "1e3", "x", "-", "99999999999999999999"}) {
    EXPECT_FALSE(parse_row_number(bad, number)) << bad;
  }
}

}  // namespace
}  // namespace fanfare::protocol
