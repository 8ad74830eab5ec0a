#include "store/row.h"

#include <gtest/gtest.h>

namespace fanfare::store {
namespace {

TEST(LaterRow, ReadsBackAsItWasWritten) {
  const std::string bytes = pack(LaterRow{{0x80001002}, 3, 1'700'000'000'123, "led\0ger", "event"});
  const auto row = view_later_row(bytes);
  ASSERT_TRUE(row);
  EXPECT_EQ(row->token.value, 0x80001002u);
  EXPECT_EQ(row->attempts, 3u);
  EXPECT_EQ(row->accepted_ms, 1'700'000'000'123);
  EXPECT_EQ(row->ledger, "led");
  EXPECT_EQ(row->event, "event");
}

TEST(LaterRow, RejectsEveryTruncationOfItsHeadAndLedger) {
  const std::string bytes = pack(LaterRow{{1}, 1, 1, "ledger", ""});
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(view_later_row(std::string_view{bytes}.substr(0, size))) << size;
  }
}

TEST(StoredResult, IsATokenAndARecord) {
  const auto stored = view_stored_result(std::string_view{"\x00\x00\x10\x01record", 10});
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->token.value, 0x1001u);
  EXPECT_EQ(stored->record, "record");
  EXPECT_FALSE(view_stored_result("abc"));
}

TEST(RegisteredFunction, ReadsBackAsItWasWritten) {
  const Registered function{"resize", "name = 'resize'\n[env]\n", "00ff", 7, true};
  EXPECT_EQ(pack(function), "7 paused 00ff\nname = 'resize'\n[env]\n");
  const auto read = unpack_registered("resize", pack(function));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "resize");
  EXPECT_EQ(read->manifest_toml, function.manifest_toml);
  EXPECT_EQ(read->digest, "00ff");
  EXPECT_EQ(read->generation, 7u);
  EXPECT_TRUE(read->paused);
}

TEST(RegisteredFunction, RejectsWhatIsNotReadableByName) {
  for (const char* value : {"", "7 active 00", "x active 00\n", "7 asleep 00\n", "7 active\n"}) {
    const auto read = unpack_registered("resize", value);
    ASSERT_FALSE(read) << value;
    EXPECT_NE(read.error().message.find("resize"), std::string::npos);
  }
}

}  // namespace
}  // namespace fanfare::store
