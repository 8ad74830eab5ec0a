#include "protocol/ids.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

namespace fanfare::protocol {
namespace {

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(Ids, ReadBackAsTheyArePrinted) {
  for (const EventId id :
       {EventId{}, EventId{{1795444620125, 3}, 7}, EventId{{kMost, kMost}, 255}}) {
    const auto parsed = parse_event_id(to_string(id));
    ASSERT_TRUE(parsed) << to_string(id);
    EXPECT_EQ(*parsed, id);
    const auto entry = parse_entry_id(to_string(id.entry));
    ASSERT_TRUE(entry);
    EXPECT_EQ(*entry, id.entry);
  }
  EXPECT_EQ(to_string(EventId{{1795444620125, 3}, 7}), "1795444620125-3.7");
}

TEST(Ids, RefuseEverythingElseAndNameIt) {
  for (const std::string_view text :
       {"", "1", "1-", "-1", "1-2", "1-2.", "1-2.256", "1-2.3 ", " 1-2.3", "+1-2.3", "01-2.3",
        "1-02.3", "1-2.03", "1-2.-3", "18446744073709551616-0.0", "1-2.3.4", "a-b.c"}) {
    const auto parsed = parse_event_id(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().message.find(text), std::string::npos);
  }
  EXPECT_FALSE(parse_entry_id("1-2.3"));
  EXPECT_FALSE(parse_entry_id("1"));
  EXPECT_LT(parse_event_id(std::string(1000, 'x')).error().message.size(), 200u);
}

TEST(Lanes, AreNamedByPriorityAndKey) {
  EXPECT_EQ(to_string(kDefaultLane), "4");
  EXPECT_EQ(lane_of(4, ""), kDefaultLane);
  EXPECT_EQ(to_string(lane_of(9, "")), "9");
  for (std::uint8_t priority = 0; priority <= 9; ++priority) {
    for (const std::string_view key : {"", "acme", "umbrella", "customer-12"}) {
      const Lane lane = lane_of(priority, key);
      const auto parsed = parse_lane(to_string(lane));
      ASSERT_TRUE(parsed) << to_string(lane);
      EXPECT_EQ(*parsed, lane);
      EXPECT_EQ(lane.is_plain(), key.empty());
      EXPECT_EQ(to_string(lane).find('.') == std::string::npos, key.empty());
    }
  }
}

TEST(Lanes, SpreadKeysOverAllSixteen) {
  std::set<Lane> seen;
  for (int i = 0; i < 200; ++i) seen.insert(lane_of(4, "tenant-" + std::to_string(i)));
  EXPECT_EQ(seen.size(), 16u);
}

TEST(Lanes, StayTheSameForEver) {
  // They are part of key names: another hash would orphan what is queued.
  EXPECT_EQ(to_string(lane_of(4, "acme")), "4.12");
  EXPECT_EQ(to_string(lane_of(0, "customer-12")), "0.15");
}

TEST(Lanes, RefuseNamesThatAreNone) {
  for (const std::string_view text : {"", "10", "4.", "4.16", "4.7.1", "04", "4.07", "x", "4 "}) {
    EXPECT_FALSE(parse_lane(text)) << text;
  }
}

TEST(Tokens, HoldEpochAndNumberAndAreNeverZero) {
  EXPECT_EQ(make_token(5, 42).value, (5u << 12) | 42u);
  EXPECT_EQ(make_token(5, 4096 + 42), make_token(5, 42));
  for (const std::uint32_t epoch : {0u, 1u, (1u << 20) - 1, 1u << 20, 0xFFFFFFFFu}) {
    EXPECT_NE(make_token(epoch, 0).value, 0u) << epoch;
  }
  EXPECT_NE(make_token((1u << 20) - 1, 1), make_token(1u << 20, 1));
}

TEST(FunctionNames, AreSafeEverywhere) {
  EXPECT_TRUE(is_function_name("store-form_2"));
  EXPECT_TRUE(is_function_name(std::string(64, 'a')));
  for (const std::string_view name : {"", "a b", "a/b", "..", "a.b", "ä", "a:b", "{fn}"}) {
    EXPECT_FALSE(is_function_name(name)) << name;
  }
  EXPECT_FALSE(is_function_name(std::string(65, 'a')));
}

TEST(WorkerName, IsWhatAHostMayBeCalledAndFitsIntoALine) {
  EXPECT_TRUE(is_worker_name("web-3.example.org-4711"));
  EXPECT_TRUE(is_worker_name("Büro 2"));
  EXPECT_TRUE(is_worker_name(std::string(255, 'w')));
  for (const std::string& name :
       {std::string{}, std::string(256, 'w'), std::string("a\nb"), std::string("a\0b", 3),
        std::string("\x1b[31m"), std::string("a\x7f")}) {
    EXPECT_FALSE(is_worker_name(name)) << name;
  }
}

}  // namespace
}  // namespace fanfare::protocol
