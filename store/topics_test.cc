// Topics in Redis: what the model cannot show.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "store/encode.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

class Topics : public ::testing::Test {
 protected:
  Topics() { redis.get<Begun>(Begin{}); }
  std::set<std::string> all() {
    std::set<std::string> names;
    ListTopics call;
    do {
      const auto page = redis.get<TopicList>(call);
      for (const auto& item : page.items) names.insert(item.name + " " + item.definition);
      call.cursor = page.next;
    } while (!call.cursor.empty());
    return names;
  }
  TestStore redis{{.append_only = false}};
};

TEST_F(Topics, AreListedInPages) {
  for (int i = 0; i < 300; ++i) {
    redis.get<TopicSet>(SetTopic{1, "t" + std::to_string(i), std::string(100, 'x')});
  }
  EXPECT_FALSE(redis.get<TopicList>(ListTopics{}).next.empty());
  EXPECT_EQ(all().size(), 300u);
}

TEST_F(Topics, AreFencedAndBounded) {
  redis.get<TopicSet>(SetTopic{1, "kept", "{}"});
  EXPECT_EQ(redis.refusal(SetTopic{2, "t", "{}"}), ErrorKind::kStale);
  redis.command({"EVAL", "for i = 2, 10000 do redis.call('HSET', KEYS[1], 'many' .. i, '{}') end",
                 "1", "fanfare:topics"});
  EXPECT_TRUE(redis.get<TopicSet>(SetTopic{1, "one-more", "{}"}).full);
  EXPECT_TRUE(redis.get<TopicSet>(SetTopic{1, "kept", "{1}"}).existed) << "that is no more";
  EXPECT_TRUE(redis.get<TopicSet>(SetTopic{1, "many7", ""}).existed);
  EXPECT_FALSE(redis.get<TopicSet>(SetTopic{1, "one-more", "{}"}).full);
}

TEST_F(Topics, AFullRedisLetsThemBeRemoved) {
  redis.get<TopicSet>(SetTopic{1, "t", "{}"});
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(redis.refusal(SetTopic{1, "u", "{}"}), ErrorKind::kRetryLater);
  EXPECT_TRUE(redis.get<TopicSet>(SetTopic{1, "t", ""}).existed);
  EXPECT_TRUE(all().empty());
}

TEST(TopicCalls, BeyondTheirLimitsAreRefused) {
  EXPECT_FALSE(check(SetTopic{1, "a b", "{}"}));
  EXPECT_FALSE(check(SetTopic{1, "a", std::string((128 << 10) + 1, ' ')}));
  EXPECT_TRUE(check(SetTopic{1, "a", std::string(128 << 10, ' ')}));
}

}  // namespace
}  // namespace fanfare::store::test
