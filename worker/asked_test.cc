#include "worker/asked.h"

#include <gtest/gtest.h>

namespace fanfare::worker {
namespace {

TEST(Asked, ComesBackInOrder) {
  std::string list;
  append_asked(list, Asked::Kind::kPublish, "one");
  append_asked(list, Asked::Kind::kPublish, "");
  append_asked(list, Asked::Kind::kPublish, std::string(1000, 'x'));
  const auto all = read_asked(list);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ((*all)[0].bytes, "one");
  EXPECT_EQ((*all)[1].bytes, "");
  EXPECT_EQ((*all)[2].bytes.size(), 1000u);
  EXPECT_TRUE(read_asked("")->empty());
}

TEST(Asked, IsRefusedWhereverItIsCutOff) {
  std::string list;
  append_asked(list, Asked::Kind::kPublish, "one");
  for (std::size_t size = 1; size < list.size(); ++size) {
    EXPECT_FALSE(read_asked(list.substr(0, size))) << size;
  }
}

TEST(Asked, IsRefusedBeyondItsLimitsAndOfAnUnknownKind) {
  std::string many, large, odd = "\x09";
  for (std::size_t i = 0; i <= kPublishedMax; ++i) append_asked(many, Asked::Kind::kPublish, "x");
  append_asked(large, Asked::Kind::kPublish, std::string(kPublishedBytesMax + 1, 'x'));
  odd += std::string(4, '\0');
  for (const auto& list : {many, large, odd}) EXPECT_FALSE(read_asked(list));
  many.resize(many.size() - 6);
  EXPECT_TRUE(read_asked(many)) << "one less";
}

}  // namespace
}  // namespace fanfare::worker
