#include "store/staging.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/keys.h"

namespace fanfare::store {
namespace {

Append append_of(std::vector<std::size_t> sizes) {
  Append append{.epoch = 3, .entry = {17, 2}, .streams = {}, .guards = {}};
  append.beside = true;
  for (const std::size_t size : sizes) {
    append.streams.push_back({"f" + std::to_string(append.streams.size()), {}, {}});
    append.streams.back().items.push_back({7, std::string(size, 'x')});
  }
  return append;
}

std::vector<std::string> staged(const Call& call) {
  Arguments arguments;
  std::vector<std::string> keys;
  stage(call, arguments, [&] {
    EXPECT_EQ(arguments.all().size(), 5u);
    EXPECT_EQ(arguments.all()[0], "SET");
    EXPECT_EQ(arguments.all()[3], "PX");
    keys.emplace_back(arguments.all()[1]);
  });
  return keys;
}

TEST(Staging, IsOfStreamsWithManyBytes) {
  const std::size_t head = 5;  // of a packed value
  EXPECT_EQ(staged(append_of({10, kBesideMin, kBesideMin - head, kBesideMin - head - 1})),
            (std::vector<std::string>{staged_key("f1", {}, {17, 2}, 3),
                                      staged_key("f2", {}, {17, 2}, 3)}));
}

TEST(Staging, IsOfStreamsWithManySmallEvents) {
  Append append = append_of({1});
  for (std::uint8_t i = 8; i < 208; ++i) append.streams[0].items.push_back({i, "0123456789abcdef"});
  EXPECT_EQ(staged(append).size(), 1u);
}

TEST(Staging, IsNotOfLayoutOne) {
  Append append = append_of({100'000});
  append.beside = false;
  EXPECT_TRUE(staged(append).empty());
}

Commit commit_of(std::vector<std::uint8_t> indexes, std::size_t bytes) {
  Commit commit{
      .function = "f", .result_ttl_ms = 1000, .packed = true, .beside = true, .groups = {}};
  commit.groups.push_back({.entry = {17, 2}, .lane = {}, .entry_size = 9, .items = {}});
  for (const std::uint8_t index : indexes) {
    commit.groups[0].items.push_back(
        {index, index, protocol::make_token(3, index), std::string(bytes, 'x'), {}});
  }
  return commit;
}

TEST(Staging, IsOfResultsOfNeighbours) {
  const auto key = [](unsigned first, unsigned last, protocol::AttemptToken token) {
    return staged_span_key("f", {17, 2}, static_cast<std::uint8_t>(first),
                           static_cast<std::uint8_t>(last), token);
  };
  const std::size_t head = 5 + 4;  // of each in a packed value
  Commit commit = commit_of({2, 3, 4, 5}, kBesideMin / 4 - head);
  EXPECT_EQ(staged(commit), std::vector{key(2, 5, protocol::make_token(3, 2))});
  commit.groups.push_back(commit.groups[0]);
  commit.groups[1].entry.seq = 3;
  EXPECT_EQ(staged(commit).size(), 2u);
  EXPECT_TRUE(staged(commit_of({2, 3, 4, 5}, kBesideMin / 4 - head - 1)).empty()) << "few bytes";
  EXPECT_TRUE(staged(commit_of({2, 3, 5, 6}, kBesideMin)).empty()) << "no neighbours";
  EXPECT_TRUE(staged(commit_of({2}, 2 * kBesideMin)).empty()) << "it alone";
}

TEST(Staging, IsOfNoResultsThatPassThroughLuaAnyway) {
  Commit commit = commit_of({2, 3}, kBesideMin);
  EXPECT_EQ(staged(commit).size(), 1u);
  commit.result_ttl_ms = 0;
  EXPECT_TRUE(staged(commit).empty());
  commit = commit_of({2, 3}, kBesideMin);
  commit.packed = false;
  EXPECT_TRUE(staged(commit).empty()) << "layout 1";
  commit = commit_of({2, 3}, kBesideMin);
  commit.groups[0].items[1].effects.emplace_back(Publish{"g", "event"});
  EXPECT_TRUE(staged(commit).empty());
  commit = commit_of({2, 3}, kBesideMin);
  commit.beside = false;
  EXPECT_TRUE(staged(commit).empty());
}

TEST(Staging, IsOfNoOtherCall) {
  Arguments arguments;
  stage(Begin{}, arguments, [] { FAIL(); });
}

}  // namespace
}  // namespace fanfare::store
