// What the doctor sees, on a real Redis and real files.
#include "cli/facts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;
using Level = Finding::Level;

class RedisSeen : public ::testing::Test {
 protected:
  Finding found(std::string_view check) {
    Facts facts;
    facts.redis = gather_redis_facts({.data = "", .broker = "", .redis = url_}, facts.schedules);
    facts.broker.unreachable = "not asked";
    facts.broker.durability = "fsync";
    schedules_ = facts.schedules;
    for (const Finding& finding : examine(facts)) {
      if (finding.check == check) return finding;
    }
    return {.check = "none", .level = Level::kOk, .seen = {}, .advice = {}};
  }

  test::RedisServer server_;
  std::string url_ = "unix://" + server_.socket_path();
  std::vector<ScheduleFacts> schedules_;
};

TEST_F(RedisSeen, OneThatKeepsWhatIsAcknowledgedIsFine) {
  server_.command({"CONFIG", "SET", "appendonly", "yes"});
  server_.command({"CONFIG", "SET", "appendfsync", "always"});
  for (const char* check :
       {"redis.reachable", "redis.eviction", "redis.durability", "redis.layout", "clock.redis"}) {
    const Finding finding = found(check);
    EXPECT_EQ(finding.check, check);
    EXPECT_EQ(finding.level, Level::kOk) << check << ": " << finding.seen;
  }
  EXPECT_EQ(found("redis.disk").check, "redis.disk") << "its folder is on this machine";
  EXPECT_EQ(found("redis.write_time").check, "redis.write_time");
}

TEST_F(RedisSeen, OneThatEvictsFails) {
  server_.command({"CONFIG", "SET", "maxmemory-policy", "allkeys-lru"});
  const Finding finding = found("redis.eviction");
  EXPECT_EQ(finding.level, Level::kFailure);
  EXPECT_NE(finding.seen.find("allkeys-lru"), std::string::npos);
}

TEST_F(RedisSeen, OneWithoutAnAppendOnlyFileFails) {
  server_.command({"CONFIG", "SET", "appendonly", "no"});
  EXPECT_EQ(found("redis.durability").level, Level::kFailure);
}

TEST_F(RedisSeen, OneThatIsFullIsWarnedOf) {
  server_.command({"CONFIG", "SET", "maxmemory", "1mb"});
  EXPECT_EQ(found("redis.memory").level, Level::kWarning);
}

TEST_F(RedisSeen, SchedulesThatMissedAreCounted) {
  server_.command({"HSET", "fanfare:schedules:ledger", "nightly", "1795444620125 7 3 1"});
  found("schedules");
  ASSERT_EQ(schedules_.size(), 1u);
  EXPECT_EQ(schedules_[0].name, "nightly");
  EXPECT_EQ(schedules_[0].missed, 3u);
}

TEST(NoRedisSeen, IsSaidWithItsPlace) {
  std::vector<ScheduleFacts> schedules;
  const auto facts = gather_redis_facts({"", "", "unix:///nowhere/redis.sock"}, schedules);
  EXPECT_NE(facts.unreachable.find("/nowhere/redis.sock"), std::string::npos);
}

TEST(Doctor, EndsWithOneForAFailureAndThreeWhereNobodyIs) {
  using namespace std::chrono_literals;
  const test::TempDir dir;
  const test::RedisServer server;
  const auto doctor = [&](const std::string& redis) {
    const auto ended = run_and_capture({FANFARE_BIN_DIR "/fanfare", "doctor", "--json", "--data",
                                        dir.file("none"), "--redis", redis},
                                       30s);
    return std::pair(ended ? ended->exit_code : -1,
                     ended ? nlohmann::json::parse(ended->output) : nlohmann::json());
  };
  const auto [failed, seen] = doctor("unix://" + server.socket_path());
  EXPECT_EQ(failed, kFailed) << "Redis without a broker: " << seen.dump();
  EXPECT_EQ(seen["failures"], 1);
  EXPECT_EQ(seen["checks"][0]["check"], "redis.reachable");
  EXPECT_EQ(seen["checks"][0]["result"], "ok");
  const auto [unreachable, nobody] = doctor("unix:///nowhere/redis.sock");
  EXPECT_EQ(unreachable, kUnreachable);
  EXPECT_EQ(nobody["failures"], 2);
}

TEST(UnitsSeen, AreThoseThatSystemdShows) {
  const auto units = units_in(
      "Id=fanfare-broker.service\nActiveState=active\nNRestarts=0\n\n"
      "NRestarts=4\nId=fanfare-redis.service\nActiveState=failed\n");
  ASSERT_EQ(units.size(), 2u);
  EXPECT_EQ(units[0].name, "fanfare-broker.service");
  EXPECT_EQ(units[0].state, "active");
  EXPECT_EQ(units[1].name, "fanfare-redis.service");
  EXPECT_EQ(units[1].state, "failed");
  EXPECT_EQ(units[1].restarts, 4u);
  EXPECT_TRUE(units_in("").empty());
}

TEST(ProgramsAsked, AreFoundByTheirNames) {
  const auto ended = run_and_capture({"true"}, std::chrono::seconds{10});
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(ended->exit_code, 0);
}

TEST(RightsSeen, ASocketThatEverybodyMayUseFails) {
  const test::TempDir dir;
  const Installation installation{.dir = dir.file("data")};
  fs::create_directories(installation.run_dir());
  ASSERT_EQ(::chmod(dir.path().c_str(), 0755), 0);
  std::ofstream(installation.redis_socket()) << "";
  ASSERT_EQ(::chmod(installation.redis_socket().c_str(), 0600), 0);
  const auto failures = [&] {
    Facts facts;
    gather_rights(installation, facts);
    const auto findings = examine(facts);
    return std::ranges::count_if(findings, [](const Finding& finding) {
      return finding.check == "rights" && finding.level == Level::kFailure;
    });
  };
  EXPECT_EQ(failures(), 0);
  ASSERT_EQ(::chmod(installation.redis_socket().c_str(), 0777), 0);
  EXPECT_EQ(failures(), 1);
  ASSERT_EQ(::chmod(dir.path().c_str(), 0700), 0);
  EXPECT_EQ(failures(), 0) << "nobody else gets to it";
}

TEST(RightsSeen, ASecretThatOthersMayReadFails) {
  const test::TempDir dir;
  const std::string secret = dir.file("triggers.env");
  std::ofstream(secret) << "FANFARE_TRIGGERS_TOKENS=x\n";
  for (const auto& [mode, level] : {std::pair{0640u, Level::kOk}, {0644u, Level::kFailure}}) {
    ASSERT_EQ(::chmod(secret.c_str(), mode), 0);
    struct stat status{};
    ASSERT_EQ(::stat(secret.c_str(), &status), 0);
    Facts facts;
    facts.paths = {{PathFacts::Kind::kSecret, secret, status.st_mode & 07777}};
    const auto findings = examine(facts);
    const auto rights = std::ranges::find(findings, "rights", &Finding::check);
    ASSERT_NE(rights, findings.end());
    EXPECT_EQ(rights->level, level);
  }
}

}  // namespace
}  // namespace fanfare::cli
