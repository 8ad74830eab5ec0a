#include "store/packed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace fanfare::store {
namespace {

using Pairs = std::vector<std::pair<int, std::string>>;

Pairs read(std::string_view packed, bool fine = true) {
  Pairs all;
  const auto result = for_each_packed(
      packed, [&](std::uint8_t index, std::string_view bytes) { all.emplace_back(index, bytes); });
  EXPECT_EQ(result.has_value(), fine);
  return all;
}

std::string pack(const Pairs& all) {
  std::size_t size = 0;
  for (const auto& [index, bytes] : all) size += kPackedHead + bytes.size();
  std::string packed(size, 'x');
  char* at = packed.data();
  for (const auto& [index, bytes] : all) {
    const std::string_view view = bytes;
    at = put_packed(at, static_cast<std::uint8_t>(index), view.substr(0, 2),
                    view.substr(std::min<std::size_t>(2, view.size())));
  }
  EXPECT_EQ(at, packed.data() + packed.size());
  return packed;
}

TEST(Packed, HoldsWhatWasPutIntoIt) {
  const Pairs all{
      {0, ""}, {7, "a"}, {255, std::string(70'000, 'b')}, {8, std::string("\0\1\2", 3)}};
  EXPECT_EQ(read(pack(all)), all);
  EXPECT_EQ(read(""), Pairs{});
}

TEST(Packed, IsRefusedWhereverItIsCutOff) {
  const std::string packed = pack({{1, "one"}, {2, "two"}});
  for (std::size_t size = 1; size < packed.size(); ++size) {
    if (size == packed.size() / 2) continue;  // between the two
    read(std::string_view{packed}.substr(0, size), false);
  }
  read(std::string("\0\xFF\xFF\xFF\xFF", 5), false);
}

TEST(Packed, FieldsOfResultsAreOneIndexOrSeveral) {
  EXPECT_EQ(parse_result_field("7"), std::pair(std::uint8_t{7}, std::uint8_t{7}));
  EXPECT_EQ(parse_result_field("0-255"), std::pair(std::uint8_t{0}, std::uint8_t{255}));
  for (const char* bad :
       {"", "-", "7-", "-7", "7-7", "8-7", "0-256", "a", "1-2-3", "events", "spans"}) {
    EXPECT_FALSE(parse_result_field(bad)) << bad;
  }
}

}  // namespace
}  // namespace fanfare::store
