#include "base/redis_sync.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/redis_server.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

TEST(RedisSync, AnswersCommands) {
  test::RedisServer server;
  auto redis = RedisSync::connect(server.options());
  ASSERT_TRUE(redis);
  const std::string bytes("a\0b", 3);
  ASSERT_TRUE(redis->call({"SET", bytes, bytes}));
  const auto got = redis->call({"GET", bytes});
  ASSERT_TRUE(got);
  EXPECT_EQ((*got)->text(), bytes);
}

TEST(RedisSync, TreatsAnErrorOfRedisAsAReply) {
  test::RedisServer server;
  auto redis = RedisSync::connect(server.options());
  ASSERT_TRUE(redis);
  const auto answer = redis->call({"NOSUCHCOMMAND"});
  ASSERT_TRUE(answer);
  EXPECT_TRUE((*answer)->is_error());
  EXPECT_THAT(std::string((*answer)->text()), HasSubstr("unknown command"));
}

TEST(RedisSync, NamesTheAddressWhereNobodyAnswers) {
  test::TempDir dir;
  RedisOptions options;
  options.unix_path = dir.file("redis.sock");
  const auto redis = RedisSync::connect(options);
  ASSERT_FALSE(redis);
  EXPECT_EQ(redis.error().kind, ErrorKind::kReconnect);
  EXPECT_THAT(redis.error().message, HasSubstr(options.unix_path));
}

TEST(RedisSync, GivesUpWhenTheAnswerTakesTooLong) {
  test::RedisServer server;
  RedisOptions options = server.options();
  options.command_timeout = 20ms;
  auto redis = RedisSync::connect(options);
  ASSERT_TRUE(redis);
  server.pause();
  const auto answer = redis->call({"PING"});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::kReconnect);
  EXPECT_FALSE(redis->call({"PING"}));  // of no further use
}

TEST(RedisServer, KeepsFsyncedDataThroughAKill) {
  test::RedisServer server;
  server.command({"SET", "key", "value"});
  server.kill_hard();
  server.start();
  EXPECT_EQ(server.command({"GET", "key"}), "value");
}

TEST(RedisServer, TakesItsOptions) {
  test::RedisServer server(
      {.append_fsync = "everysec", .maxmemory = "64mb", .more = {"--hz", "50"}});
  EXPECT_EQ(server.command({"CONFIG", "GET", "appendfsync"}), "appendfsync\neverysec");
  EXPECT_EQ(server.command({"CONFIG", "GET", "maxmemory"}), "maxmemory\n67108864");
  EXPECT_EQ(server.command({"CONFIG", "GET", "hz"}), "hz\n50");
}

TEST(RedisServer, SaysWhyItDoesNotStart) {
  try {
    const test::RedisServer server({.append_fsync = "sometimes"});
    FAIL() << "started";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("appendfsync"));
  }
}

}  // namespace
}  // namespace fanfare
