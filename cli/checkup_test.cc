// What the doctor concludes: one thing wrong at a time, in an installation that is well otherwise.
#include "cli/checkup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using Level = Finding::Level;

constexpr std::uint64_t kGiB = 1u << 30;

Facts healthy() {
  Facts facts;
  facts.version = "1.2.0";
  facts.library = "0123456789abcdef";
  facts.redis = {.unreachable = "",
                 .version = "7.0.15",
                 .maxmemory_policy = "noeviction",
                 .appendonly = "yes",
                 .appendfsync = "always",
                 .last_aof_write = "ok",
                 .last_aof_rewrite = "ok",
                 .used_memory = kGiB,
                 .maxmemory = 0,
                 .machine_memory = 16 * kGiB,
                 .aof_bytes = kGiB,
                 .directory = "/var/lib/fanfare/redis",
                 .disk_free = 100 * kGiB,
                 .write_time = 2ms,
                 .ahead_ms = 3,
                 .library = facts.library,
                 .layout = "1",
                 .epoch = 7};
  facts.broker.durability = "fsync";
  facts.broker.state = "accepting";
  facts.broker.epoch = 7;
  facts.broker.version = "1.2.0";
  facts.broker.ahead_ms = -2;
  facts.broker.workers = {{.id = "w1",
                           .state = "running",
                           .slots = 4,
                           .heard_ms = 900,
                           .version = "1.2.0",
                           .is_here = true}};
  facts.broker.functions = {{.name = "resize", .letters = 0, .memory_bytes = 256u << 20}};
  facts.host = {.clock_synchronised = true,
                .overcommit_memory = 1,
                .transparent_huge_pages = "madvise",
                .open_files_max = 524'288,
                .somaxconn = 4096,
                .processes_max = 9000,
                .memory = 16 * kGiB,
                .memory_available = 8 * kGiB,
                .memory_limited_by = "cgroup v2",
                .runs_redis = true,
                .runs_workers = true};
  facts.paths = {{PathFacts::Kind::kSocket, "/run/fanfare/redis.sock", 0770},
                 {PathFacts::Kind::kSecret, "/etc/fanfare/triggers.env", 0600},
                 {PathFacts::Kind::kData, "/var/lib/fanfare/redis", 0750}};
  facts.units = {{.name = "fanfare-broker.service", .state = "active"}};
  facts.schedules = {{.name = "nightly"}};
  facts.instance_user = "fanfare-run";
  return facts;
}

Finding finding_of(const Facts& facts, std::string_view check) {
  for (const Finding& finding : examine(facts)) {
    if (finding.check == check && finding.level != Level::kOk) return finding;
  }
  for (const Finding& finding : examine(facts)) {
    if (finding.check == check) return finding;
  }
  return {.check = "none", .level = Level::kOk, .seen = {}, .advice = {}};
}

TEST(Checkup, FindsNothingWrongWhereAllIsWell) {
  const auto findings = examine(healthy());
  EXPECT_GT(findings.size(), 20u);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.level, Level::kOk) << finding.check << ": " << finding.seen;
    EXPECT_TRUE(finding.advice.empty()) << finding.check;
    EXPECT_FALSE(finding.seen.empty()) << finding.check;
  }
}

struct Ailment {
  const char* check;
  Level level;
  const char* seen;    // a part of it
  const char* advice;  // a part of it
  std::function<void(Facts&)> change;
};

std::vector<Ailment> ailments() {
  const auto kWarning = Level::kWarning, kFailure = Level::kFailure;
  return {
      {"redis.reachable", kFailure, "nobody", "start Redis",
       [](Facts& f) { f.redis.unreachable = "nobody listens"; }},
      {"redis.reachable", kFailure, "Permission", "as root",
       [](Facts& f) { f.redis.unreachable = "cannot reach Redis: Permission denied"; }},
      {"redis.version", kFailure, "6.2.1", "7.0 or newer",
       [](Facts& f) { f.redis.version = "6.2.1"; }},
      {"redis.version", kWarning, "7.2.4", "tested with 7.0.15",
       [](Facts& f) { f.redis.version = "7.2.4"; }},
      {"redis.eviction", kFailure, "allkeys-lru", "noeviction",
       [](Facts& f) { f.redis.maxmemory_policy = "allkeys-lru"; }},
      {"redis.eviction", kWarning, "does not tell", "CONFIG GET",
       [](Facts& f) { f.redis.maxmemory_policy = ""; }},
      {"redis.durability", kFailure, "appendonly no", "appendonly yes",
       [](Facts& f) { f.redis.appendonly = "no"; }},
      {"redis.durability", kFailure, "appendfsync everysec", "appendfsync always",
       [](Facts& f) { f.redis.appendfsync = "everysec"; }},
      {"redis.aof", kFailure, "last write err", "refuses writes",
       [](Facts& f) { f.redis.last_aof_write = "err"; }},
      {"redis.aof", kWarning, "last rewrite err", "only grow",
       [](Facts& f) { f.redis.last_aof_rewrite = "err"; }},
      {"redis.disk", kFailure, "free in /var/lib", "may fill the disk",
       [](Facts& f) { f.redis.disk_free = kGiB / 2; }},
      {"redis.disk", kWarning, "2.0 GiB free", "keep 2.2 GiB free",
       [](Facts& f) { f.redis.disk_free = 2 * kGiB; }},
      {"redis.write_time", kWarning, "45.0 ms", "shared",
       [](Facts& f) { f.redis.write_time = 45ms; }},
      {"redis.write_time", kWarning, "300.0 ms", "faster disk",
       [](Facts& f) { f.redis.write_time = 300ms; }},
      {"redis.memory", kWarning, "(maxmemory)", "queue_full",
       [](Facts& f) { f.redis.maxmemory = kGiB + kGiB / 10; }},
      {"redis.maxmemory", kWarning, "32.0 GiB of 16.0 GiB", "below",
       [](Facts& f) { f.redis.maxmemory = 32 * kGiB; }},
      {"redis.layout", kFailure, "layout 9", "layouts up to 2",
       [](Facts& f) { f.redis.layout = "9"; }},
      {"redis.library", kWarning, "functions ff", "another build",
       [](Facts& f) { f.redis.library = "ff"; }},
      {"broker.reachable", kFailure, "nobody", "fanfare up",
       [](Facts& f) { f.broker.unreachable = "nobody listens"; }},
      {"broker.reachable", kFailure, "Permission", "as root",
       [](Facts& f) { f.broker.unreachable = "no broker (Permission denied)"; }},
      {"broker.state", kWarning, "not accepting", "log",
       [](Facts& f) { f.broker.state = "not accepting"; }},
      {"broker.office", kFailure, "epoch 7, in Redis 8", "another broker",
       [](Facts& f) { f.redis.epoch = 8; }},
      {"workers", kFailure, "none", "nobody runs them", [](Facts& f) { f.broker.workers.clear(); }},
      {"workers", kWarning, "0 slots", "workers resume",
       [](Facts& f) { f.broker.workers[0].state = "quiet"; }},
      {"workers", kWarning, "w1 says nothing", "hangs",
       [](Facts& f) { f.broker.workers[0].heard_ms = 9000; }},
      {"functions.readable", kFailure, "WRONGTYPE", "by hand",
       [](Facts& f) { f.broker.functions[0].trouble = "WRONGTYPE fanfare:{resize}:dead"; }},
      {"functions.dead_letters", kWarning, "resize 3", "dlq list",
       [](Facts& f) { f.broker.functions[0].letters = 3; }},
      {"functions.start", kFailure, "resize on w1, w7", "rollback",
       [](Facts& f) { f.broker.functions[0].does_not_start_on = {"w1", "w7"}; }},
      {"versions", kWarning, "broker 1.2.0; w1 1.1.0", "fanfare-upgrade",
       [](Facts& f) { f.broker.workers[0].version = "1.1.0"; }},
      {"versions", kWarning, "w1 does not tell", "rolling-restart",
       [](Facts& f) { f.broker.workers[0].version = ""; }},
      {"versions", kWarning, "broker 1.3.0; this `fanfare` 1.2.0", "fanfare-upgrade",
       [](Facts& f) { f.broker.version = "1.3.0"; }},
      {"clock.broker", kWarning, "the broker is 7.0 s behind", "restart fanfare-broker",
       [](Facts& f) { f.broker.ahead_ms = -7000; }},
      {"clock.broker", kFailure, "3600.0 s ahead", "time server",
       [](Facts& f) { f.broker.ahead_ms = 3'600'000; }},
      {"schedules", kWarning, "nightly (2 times in all)", "fanfare-triggers",
       [](Facts& f) { f.schedules[0] = {"nightly", 2, 23h}; }},
      {"services", kFailure, "fanfare-broker.service failed", "systemctl status",
       [](Facts& f) { f.units[0].state = "failed"; }},
      {"services", kWarning, "(5 restarts)", "journalctl",
       [](Facts& f) { f.units[0].restarts = 5; }},
      {"clock.synchronised", kWarning, "no time server", "timesyncd",
       [](Facts& f) { f.host.clock_synchronised = false; }},
      {"clock.redis", kWarning, "1.5 s ahead", "one time server",
       [](Facts& f) { f.redis.ahead_ms = 1500; }},
      {"clock.redis", kFailure, "120.0 s behind", "one time server",
       [](Facts& f) { f.redis.ahead_ms = -120'000; }},
      {"limits.overcommit", kWarning, "overcommit_memory 0", "sysctl",
       [](Facts& f) { f.host.overcommit_memory = 0; }},
      {"limits.huge_pages", kWarning, "always", "madvise",
       [](Facts& f) { f.host.transparent_huge_pages = "always"; }},
      {"limits.open_files", kWarning, "open files 1024", "LimitNOFILE",
       [](Facts& f) { f.host.open_files_max = 1024; }},
      {"limits.open_files", kWarning, "open files of fanfare-worker@1.service 1024", "LimitNOFILE",
       [](Facts& f) {
         f.host.open_files_max = 1024;
         f.host.open_files_of = "fanfare-worker@1.service";
       }},
      {"limits.processes", kWarning, "processes of fanfare-worker@1.service 99", "TasksMax",
       [](Facts& f) {
         f.host.processes_max = 99;
         f.host.processes_of = "fanfare-worker@1.service";
       }},
      {"limits.backlog", kWarning, "somaxconn 128", "sysctl",
       [](Facts& f) { f.host.somaxconn = 128; }},
      {"limits.processes", kWarning, "cgroup 100", "TasksMax",
       [](Facts& f) { f.host.processes_max = 100; }},
      {"limits.instances", kWarning, "rlimit", "Delegate",
       [](Facts& f) { f.host.memory_limited_by = "rlimit"; }},
      {"limits.memory", kWarning, "4 slots × 8.0 GiB", "fewer slots",
       [](Facts& f) { f.broker.functions[0].memory_bytes = 8 * kGiB; }},
      {"rights", kFailure, "redis.sock has mode 0777", "chmod o-w",
       [](Facts& f) { f.paths[0].mode = 0777; }},
      {"rights", kFailure, "triggers.env has mode 0644", "chmod o-rwx",
       [](Facts& f) { f.paths[1].mode = 0644; }},
      {"rights", kFailure, "fanfare/redis has mode 0757", "chmod o-w",
       [](Facts& f) { f.paths[2].mode = 0757; }},
      {"rights.run_as", kFailure, "fanfare-run", "no such user",
       [](Facts& f) { f.instance_user_exists = false; }},
  };
}

TEST(Checkup, NamesEachAilmentAndWhatToDo) {
  for (const Ailment& ailment : ailments()) {
    Facts facts = healthy();
    ailment.change(facts);
    const Finding finding = finding_of(facts, ailment.check);
    EXPECT_EQ(to_string(finding.level), to_string(ailment.level)) << ailment.check << finding.seen;
    EXPECT_NE(finding.seen.find(ailment.seen), std::string::npos)
        << ailment.check << ": " << finding.seen;
    EXPECT_NE(finding.advice.find(ailment.advice), std::string::npos)
        << ailment.check << ": " << finding.advice;
  }
}

TEST(Checkup, EveryCheckThatCanFailIsAmongTheAilments) {
  std::vector<std::string> known;
  for (const Ailment& ailment : ailments()) known.emplace_back(ailment.check);
  for (const Finding& finding : examine(healthy())) {
    EXPECT_NE(std::ranges::find(known, finding.check), known.end()) << finding.check;
  }
}

TEST(Checkup, ClassEverysecAndMemoryNeedLessOfRedis) {
  Facts facts = healthy();
  facts.redis.appendfsync = "everysec";
  facts.broker.durability = "everysec";
  EXPECT_EQ(finding_of(facts, "redis.durability").level, Level::kOk);
  facts.redis.appendonly = "no";
  EXPECT_EQ(finding_of(facts, "redis.durability").level, Level::kFailure);
  facts.broker.durability = "memory";
  EXPECT_EQ(finding_of(facts, "redis.durability").level, Level::kOk);
}

TEST(Checkup, AClassThatNobodySaysIsNotGuessed) {
  Facts facts = healthy();
  facts.broker = {};
  facts.broker.unreachable = "nobody listens";
  EXPECT_EQ(finding_of(facts, "redis.durability").level, Level::kOk) << "it would do for any";
  facts.redis.appendfsync = "everysec";
  EXPECT_EQ(finding_of(facts, "redis.durability").level, Level::kWarning);
}

TEST(Checkup, WithoutABrokerRedisIsLookedAtAllTheSame) {
  Facts facts = healthy();
  facts.broker = {};
  facts.broker.unreachable = "nobody listens";
  facts.redis.maxmemory_policy = "volatile-ttl";
  EXPECT_EQ(finding_of(facts, "redis.eviction").level, Level::kFailure);
  EXPECT_EQ(finding_of(facts, "workers").check, "none") << "nothing is guessed";
}

TEST(Checkup, AnAutoscalerMayHaveTakenAllWorkersAway) {
  Facts facts = healthy();
  facts.broker.workers.clear();
  facts.autoscalers = {{.name = "build-7", .min = 0, .scales = true}};
  EXPECT_EQ(finding_of(facts, "workers").level, Level::kOk);
  EXPECT_NE(finding_of(facts, "workers").seen.find("build-7"), std::string::npos);
  facts.broker.functions[0].waiting = 1;
  EXPECT_EQ(finding_of(facts, "workers").level, Level::kFailure) << "it should have started one";
  facts.broker.functions[0].waiting = 0;
  facts.autoscalers[0].min = 1;
  EXPECT_EQ(finding_of(facts, "workers").level, Level::kFailure) << "one should always be there";
  facts.autoscalers[0] = {.name = "build-7", .min = 0, .scales = false};
  EXPECT_EQ(finding_of(facts, "workers").level, Level::kFailure) << "it says nothing any more";
}

// What other machines run needs other machines' memory.
TEST(Checkup, OnlyWorkersOfThisMachineNeedItsMemory) {
  Facts facts = healthy();
  facts.broker.workers.push_back(
      {.id = "far", .state = "running", .slots = 1000, .version = "1.2.0", .is_here = false});
  EXPECT_EQ(finding_of(facts, "limits.memory").level, Level::kOk);
  facts.broker.workers[1].is_here = true;
  EXPECT_EQ(finding_of(facts, "limits.memory").level, Level::kWarning);
}

TEST(Checkup, WhatWasMissedLongAgoIsAnOldStory) {
  Facts facts = healthy();
  facts.schedules[0] = {"nightly", 2, 25h};
  EXPECT_EQ(finding_of(facts, "schedules").level, Level::kOk);
  facts.schedules[0] = {"nightly", 2, std::nullopt};
  EXPECT_EQ(finding_of(facts, "schedules").level, Level::kOk) << "nobody knows when";
}

TEST(Checkup, LettersThatNobodyCouldCountAreNotGuessed) {
  Facts facts = healthy();
  facts.broker.functions[0].letters.reset();
  EXPECT_EQ(finding_of(facts, "functions.dead_letters").check, "none");
}

TEST(Checkup, WhatCannotBeSeenIsPassedOver) {
  Facts facts = healthy();
  facts.host = {};
  facts.broker.ahead_ms.reset();
  facts.broker.version.clear();
  facts.redis.disk_free.reset();
  facts.redis.write_time.reset();
  facts.redis.ahead_ms.reset();
  facts.paths.clear();
  for (const Finding& finding : examine(facts)) {
    EXPECT_EQ(finding.level, Level::kOk) << finding.check << ": " << finding.seen;
  }
}

TEST(Checkup, NobodyIsThereOnlyIfNeitherAnswers) {
  Facts facts = healthy();
  EXPECT_FALSE(is_nobody_there(facts));
  facts.broker.unreachable = "nobody listens";
  EXPECT_FALSE(is_nobody_there(facts));
  facts.redis.unreachable = "nobody listens";
  EXPECT_TRUE(is_nobody_there(facts));
}

}  // namespace
}  // namespace fanfare::cli
