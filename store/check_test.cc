#include "store/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/redis_server.h"

namespace fanfare::store {
namespace {

using ::testing::HasSubstr;

class Check : public ::testing::Test {
 protected:
  std::string complaint(std::string_view durability) {
    const auto checked = check_server(server.options(), durability);
    if (checked) return "";
    EXPECT_EQ(checked.error().kind, ErrorKind::kFatal);
    EXPECT_EQ(checked.error().message.find('\n'), std::string::npos);
    return checked.error().message;
  }
  fanfare::test::RedisServer server;
};

TEST_F(Check, TakesAServerThatKeepsThePromise) {
  for (const char* durability : {"fsync", "everysec", "memory"}) {
    EXPECT_EQ(complaint(durability), "") << durability;
  }
}

TEST_F(Check, SaysWhichFsyncAClassNeeds) {
  server.command({"CONFIG", "SET", "appendfsync", "everysec"});
  EXPECT_THAT(complaint("fsync"), HasSubstr("appendfsync always"));
  EXPECT_EQ(complaint("everysec"), "");
  server.command({"CONFIG", "SET", "appendfsync", "no"});
  EXPECT_THAT(complaint("everysec"), HasSubstr("appendfsync everysec"));
}

TEST_F(Check, RefusesAServerWithoutAnAppendOnlyFile) {
  server.command({"CONFIG", "SET", "appendonly", "no"});
  EXPECT_THAT(complaint("fsync"), HasSubstr("appendonly yes"));
  EXPECT_THAT(complaint("everysec"), HasSubstr("appendonly yes"));
  EXPECT_EQ(complaint("memory"), "");
}

TEST_F(Check, RefusesAServerThatEvicts) {
  server.command({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  for (const char* durability : {"fsync", "everysec", "memory"}) {
    EXPECT_THAT(complaint(durability), HasSubstr("maxmemory-policy noeviction")) << durability;
  }
}

TEST(JudgeServer, NamesTheVersionThatIsTooOldOrNoVersion) {
  ServerFacts facts{.version = "7.0.0",
                    .maxmemory_policy = "noeviction",
                    .appendonly = "yes",
                    .appendfsync = "always"};
  EXPECT_TRUE(judge_server(facts, "fsync", "x"));
  for (const char* version : {"6.2.16", "5.0.7", "", "unknown"}) {
    facts.version = version;
    const auto judged = judge_server(facts, "memory", "unix:///run/redis.sock");
    ASSERT_FALSE(judged) << version;
    EXPECT_EQ(judged.error().kind, ErrorKind::kFatal);
    EXPECT_THAT(judged.error().message, HasSubstr(std::string("is version ") + version + ";"));
    EXPECT_THAT(judged.error().message, HasSubstr("unix:///run/redis.sock"));
  }
}

TEST_F(Check, SaysThatNobodyAnswers) {
  server.stop();
  const auto checked = check_server(server.options(), "fsync", Duration{0});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().kind, ErrorKind::kReconnect);
  EXPECT_THAT(checked.error().message, HasSubstr(server.socket_path()));
}

}  // namespace
}  // namespace fanfare::store
