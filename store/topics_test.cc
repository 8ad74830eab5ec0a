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
    redis.get<TopicsSet>(SetTopics{1, {{"t" + std::to_string(i), std::string(100, 'x')}}});
  }
  EXPECT_FALSE(redis.get<TopicList>(ListTopics{}).next.empty());
  EXPECT_EQ(all().size(), 300u);
}

TEST_F(Topics, AreFencedAndBounded) {
  redis.get<TopicsSet>(SetTopics{1, {{"kept", "{}"}}});
  EXPECT_EQ(redis.refusal(SetTopics{2, {{"t", "{}"}}}), ErrorKind::kStale);
  redis.command({"EVAL", "for i = 2, 10000 do redis.call('HSET', KEYS[1], 'many' .. i, '{}') end",
                 "1", "fanfare:topics"});
  EXPECT_TRUE(redis.get<TopicsSet>(SetTopics{1, {{"kept", "{2}"}, {"one-more", "{}"}}}).full);
  EXPECT_EQ(redis.command({"HGET", "fanfare:topics", "kept"}), "{}") << "all or none";
  EXPECT_FALSE(redis.get<TopicsSet>(SetTopics{1, {{"kept", "{1}"}}}).full) << "that is no more";
  redis.get<TopicsSet>(SetTopics{1, {{"many7", ""}, {"many8", ""}, {"never", ""}}});
  EXPECT_FALSE(redis.get<TopicsSet>(SetTopics{1, {{"one-more", "{}"}, {"and-one", "{}"}}}).full);
  EXPECT_TRUE(redis.get<TopicsSet>(SetTopics{1, {{"too-many", "{}"}}}).full);
}

TEST_F(Topics, AFullRedisLetsThemBeRemoved) {
  redis.get<TopicsSet>(SetTopics{1, {{"t", "{}"}}});
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(redis.refusal(SetTopics{1, {{"u", "{}"}}}), ErrorKind::kRetryLater);
  redis.get<TopicsSet>(SetTopics{1, {{"t", ""}}});
  EXPECT_TRUE(all().empty());
}

TEST(TopicCalls, BeyondTheirLimitsAreRefused) {
  const std::string largest(128 << 10, ' ');
  EXPECT_FALSE(check(SetTopics{1, {{"a b", "{}"}}}));
  EXPECT_FALSE(check(SetTopics{1, {{"a", largest + ' '}}}));
  EXPECT_TRUE(check(SetTopics{1, {{"a", largest}}}));
  EXPECT_FALSE(check(SetTopics{1, {{"a", largest}, {"b", largest}}})) << "and two names";
  EXPECT_FALSE(check(SetTopics{1, {{"a", "{}"}, {"a", "{}"}}}));
  EXPECT_FALSE(check(SetTopics{1, {{"a", "{}"}, {"b", ""}}}));
  EXPECT_FALSE(check(SetTopics{1, {}}));
  SetTopics many{1, {}};
  for (int i = 0; i < 256; ++i) many.items.push_back({"t" + std::to_string(i), "{}"});
  EXPECT_TRUE(check(many));
  many.items.push_back({"more", "{}"});
  EXPECT_FALSE(check(many));
}

}  // namespace
}  // namespace fanfare::store::test
