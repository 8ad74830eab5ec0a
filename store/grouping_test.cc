#include "store/grouping.h"

#include <gtest/gtest.h>

namespace fanfare::store {
namespace {

Postpone::Item item(std::uint64_t entry, std::uint8_t index, std::uint16_t size = 4) {
  Postpone::Item item;
  item.id = {{entry, 0}, index};
  item.slot = index;
  item.entry_size = size;
  item.token = {1};
  return item;
}

Postpone of(std::vector<Postpone::Item> items) {
  return {.epoch = 1, .function = "f", .items = std::move(items)};
}

TEST(Grouping, SortsByEntryAndIndexAndRemembersThePlaces) {
  const auto items = grouped(of({item(2, 1), item(1, 3), item(2, 0)}));
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].entry.ms, 1u);
  EXPECT_EQ(items[0].position, 1u);
  EXPECT_EQ(items[1].position, 2u);
  EXPECT_EQ(items[2].position, 0u);
  EXPECT_FALSE(items[0].same_group(items[1]));
  EXPECT_TRUE(items[1].same_group(items[2]));
}

TEST(Grouping, MergesGroupsOfACommitThatNameTheSameEntry) {
  Commit commit{.function = "f", .result_ttl_ms = 0, .groups = {}};
  for (const std::uint8_t index : {std::uint8_t{3}, std::uint8_t{1}}) {
    Commit::Group group;
    group.entry_size = 4;
    group.items.push_back({index, index, {1}, ""});
    commit.groups.push_back(group);
  }
  const auto items = grouped(commit);
  EXPECT_TRUE(items[0].same_group(items[1]));
  EXPECT_EQ(items[0].outer, 1u);
  EXPECT_TRUE(check_groups(items));
}

TEST(Grouping, RejectsWhatTheLibraryWouldRefuse) {
  EXPECT_FALSE(check_groups(grouped(of({}))));
  EXPECT_FALSE(check_groups(grouped(of(std::vector(257, item(1, 0))))));
  EXPECT_FALSE(check_groups(grouped(of({item(1, 0), item(1, 0)}))));
  EXPECT_FALSE(check_groups(grouped(of({item(1, 0), item(1, 1, 5)}))));
  EXPECT_FALSE(check_groups(grouped(of({item(1, 4)})))) << "a slot beyond the entry";
  auto wrong = item(1, 1);
  wrong.slot = 0;
  EXPECT_FALSE(check_groups(grouped(of({item(1, 0), wrong}))));
  auto invoked = item(1, 0);
  invoked.origin = Origin::kInvoke;
  EXPECT_FALSE(check_groups(grouped(of({invoked}))));
  auto tokenless = item(1, 0);
  tokenless.token = {};
  EXPECT_FALSE(check_groups(grouped(of({tokenless}))));
  EXPECT_TRUE(check_groups(grouped(of({item(1, 0), item(1, 1), item(2, 0, 1)}))));
}

}  // namespace
}  // namespace fanfare::store
