#include "base/redis_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare {
namespace {

TEST(ParseRedisUrl, ReadsUnixSockets) {
  EXPECT_EQ(parse_redis_url("unix:///run/redis.sock")->unix_path, "/run/redis.sock");
  EXPECT_EQ(parse_redis_url("/run/redis.sock")->unix_path, "/run/redis.sock");
}

TEST(ParseRedisUrl, ReadsHostsAndPorts) {
  const auto full = parse_redis_url("redis://10.0.0.7:6380/");
  EXPECT_EQ(full->host, "10.0.0.7");
  EXPECT_EQ(full->port, 6380);
  const auto bare = parse_redis_url("cache");
  EXPECT_EQ(bare->host, "cache");
  EXPECT_EQ(bare->port, 6379);
}

TEST(ParseRedisUrl, RejectsTheRestWithTheFormItWants) {
  for (const char* url : {"", "redis://", "redis://host:0", "redis://host:99999", "redis://host:x",
                          "http://host:80", "unix://relative/path"}) {
    const auto parsed = parse_redis_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_THAT(parsed.error().message, testing::HasSubstr("unix:///path"));
  }
}

TEST(ParseRedisUrl, DoesNotRepeatAPassword) {
  for (const char* url : {"redis://:secret@host:6379", "user:secret@host", "redis://user@host"}) {
    const auto parsed = parse_redis_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_THAT(parsed.error().message, testing::HasSubstr("does not log in"));
    EXPECT_THAT(parsed.error().message, testing::Not(testing::HasSubstr("secret")));
  }
}

TEST(RedisOptions, NameTheirServerInMessages) {
  EXPECT_EQ(to_string(*parse_redis_url("/run/redis.sock")), "unix:///run/redis.sock");
  EXPECT_EQ(to_string(RedisOptions{}), "redis://127.0.0.1:6379");
}

}  // namespace
}  // namespace fanfare
