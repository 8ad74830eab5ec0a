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
#include "cli/retrying.h"
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
    facts.broker.functions = {{.name = "resize"}, {.name = "scan"}};
    gather_redis_facts({.data = "", .broker = "", .redis = url_}, facts);
    facts.broker.unreachable = "not asked";
    facts.broker.durability = "fsync";
    facts_ = facts;
    for (const Finding& finding : examine(facts)) {
      if (finding.check == check) return finding;
    }
    return {.check = "none", .level = Level::kOk, .seen = {}, .advice = {}};
  }

  test::RedisServer server_;
  std::string url_ = "unix://" + server_.socket_path();
  Facts facts_;
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

TEST_F(RedisSeen, SchedulesThatMissedAreSeenWithWhenThatWas) {
  const std::int64_t hour_ago = to_ms(wall_now()) - 3'600'000;
  server_.command({"HSET", "fanfare:schedules:ledger", "nightly",
                   "1795444620125 7 3 1 " + std::to_string(hour_ago), "old",
                   "1795444620125 7 2 1"});
  found("schedules");
  ASSERT_EQ(facts_.schedules.size(), 2u);
  std::ranges::sort(facts_.schedules, {}, &ScheduleFacts::name);
  EXPECT_EQ(facts_.schedules[0].name, "nightly");
  EXPECT_EQ(facts_.schedules[0].missed, 3u);
  ASSERT_TRUE(facts_.schedules[0].missed_ago);
  EXPECT_NEAR(static_cast<double>(facts_.schedules[0].missed_ago->count()), 3600e9, 60e9);
  EXPECT_EQ(facts_.schedules[1].missed, 2u);
  EXPECT_FALSE(facts_.schedules[1].missed_ago);
}

// Not how many there have been: those that were purged are gone.
TEST_F(RedisSeen, LettersAreThoseThatLieThere) {
  server_.command({"XADD", "fanfare:{resize}:dead", "*", "r", "x"});
  server_.command({"XADD", "fanfare:{resize}:dead", "*", "r", "x"});
  found("redis.reachable");
  EXPECT_EQ(facts_.broker.functions[0].letters, 2u);
  EXPECT_EQ(facts_.broker.functions[1].letters, 0u);
  server_.command({"DEL", "fanfare:{resize}:dead"});
  server_.command({"SET", "fanfare:{resize}:dead", "x"});
  found("redis.reachable");
  EXPECT_EQ(facts_.broker.functions[0].letters, std::nullopt) << "a key of a wrong type";
}

TEST_F(RedisSeen, AutoscalersScaleIfTheyHaveToldSomethingLately) {
  const auto row = [](WallTime at, int min, bool dry_run) {
    return nlohmann::json{{"at", format_wall_time(at)}, {"min", min}, {"dry_run", dry_run}}.dump();
  };
  const WallTime now = wall_now();
  server_.command({"HSET", "fanfare:autoscalers", "a", row(now, 0, false), "b",
                   row(now - std::chrono::minutes{1}, 0, false), "c", row(now, 0, true), "d",
                   row(now, 3, false), "e", "junk", "f", "{}"});
  found("redis.reachable");
  ASSERT_EQ(facts_.autoscalers.size(), 4u);
  EXPECT_TRUE(facts_.autoscalers[0].scales);
  EXPECT_FALSE(facts_.autoscalers[1].scales) << "it is silent";
  EXPECT_FALSE(facts_.autoscalers[2].scales) << "it changes nothing";
  EXPECT_TRUE(facts_.autoscalers[3].scales);
  EXPECT_EQ(facts_.autoscalers[3].min, 3u);
}

TEST(NoRedisSeen, IsSaidWithItsPlace) {
  Facts facts;
  gather_redis_facts({"", "", "unix:///nowhere/redis.sock"}, facts);
  EXPECT_NE(facts.redis.unreachable.find("/nowhere/redis.sock"), std::string::npos);
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
      "NRestarts=4\nId=fanfare-redis.service\nActiveState=failed\nMainPID=12\nTasksMax=99\n\n"
      "Id=fanfare-worker@1.service\nTasksMax=infinity\nMainPID=0\n");
  ASSERT_EQ(units.size(), 3u);
  EXPECT_EQ(units[0].name, "fanfare-broker.service");
  EXPECT_EQ(units[0].state, "active");
  EXPECT_EQ(units[1].name, "fanfare-redis.service");
  EXPECT_EQ(units[1].state, "failed");
  EXPECT_EQ(units[1].restarts, 4u);
  EXPECT_EQ(units[1].pid, 12u);
  EXPECT_EQ(units[1].tasks_max, 99u);
  EXPECT_EQ(units[2].tasks_max, 0u);
  EXPECT_TRUE(units_in("").empty());
}

TEST(LimitsSeen, AreThoseOfTheServicesAndNotOfWhoeverAsks) {
  EXPECT_EQ(
      open_files_in("Limit                     Soft Limit           Hard Limit           Units\n"
                    "Max core file size        0                    unlimited            bytes\n"
                    "Max open files            1024                 524288               files\n"),
      524'288u);
  EXPECT_EQ(
      open_files_in("Max open files            1024                 unlimited            files\n"),
      UINT64_MAX);
  EXPECT_EQ(open_files_in(""), 0u);
  std::ifstream own("/proc/self/limits");
  EXPECT_GT(open_files_in(std::string{std::istreambuf_iterator<char>{own}, {}}), 0u);

  const std::vector<UnitFacts> units{
      {.name = "fanfare-broker.service", .pid = 1, .tasks_max = 10, .files_max = 4096},
      {.name = "fanfare-worker@1.service", .pid = 2, .tasks_max = 700, .files_max = 1024},
      {.name = "fanfare-worker@2.service", .pid = 3, .tasks_max = 600, .files_max = 0},
      {.name = "fanfare-worker@3.service", .pid = 0, .tasks_max = 1}};
  const HostFacts host = gather_host_facts(units);
  EXPECT_EQ(host.open_files_max, 1024u);
  EXPECT_EQ(host.open_files_of, "fanfare-worker@1.service");
  EXPECT_EQ(host.processes_max, 600u) << "of workers, and of those that run";
  EXPECT_EQ(host.processes_of, "fanfare-worker@2.service");
  EXPECT_GT(gather_host_facts({}).open_files_max, 0u) << "without services: of whoever asks";
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
