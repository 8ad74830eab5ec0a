// Schedules end to end: a real Redis, a real broker, two schedulers that are killed at all places.
// The function's worker is not there, so that what was fired lies in its journal and can be read.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "protocol/event.h"
#include "store/encode.h"
#include "store/keys.h"
#include "store/library.h"
#include "tests/integration/installation.h"
#include "tests/support/journal.h"
#include "triggers/schedule.h"
#include "triggers/schedule_json.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using triggers::Schedule;
using triggers::ScheduleExpression;

constexpr int kSchedules = 10;

class ScheduledInstallation {
 public:
  enum class Worker { kGone, kThere };
  explicit ScheduledInstallation(const std::string& durability = "everysec",
                                 Worker worker = Worker::kGone)
      : all({.durability = durability}) {
    if (worker == Worker::kThere) return;
    all.worker().kill_hard();
    all.deploy("builtin/noop", "[[on]]\npattern = '{\"type\": [\"schedule.fired\"]}'\n");
  }

  void add(const Schedule& schedule) {
    ASSERT_TRUE(triggers::check(schedule));
    set(schedule.name, triggers::to_json(schedule));
  }
  // Without a definition: removes it.
  void set(const std::string& name, const std::string& definition) {
    const store::Call call = store::SetSchedule{name, definition};
    store::Arguments arguments;  // views into the call
    store::encode(call, std::nullopt, arguments);
    auto redis = RedisSync::connect(all.redis().options());
    const auto reply = redis->call(arguments.all());
    ASSERT_TRUE(reply && !(*reply)->is_error());
  }
  // Schedules "s0", "s1", … that fire every second.
  void add_every_second() {
    for (int i = 0; i < kSchedules; ++i) {
      Schedule schedule{.name = fmt::format("s{}", i),
                        .expression = *ScheduleExpression::parse("@every 1s")};
      schedule.since = since = read_clocks().wall;
      schedule.missed = triggers::Missed::kCatchUp;
      add(schedule);
    }
  }
  std::unique_ptr<Process> scheduler(const std::string& place = {}, int passes = 0) {
    std::vector<std::string> command{FANFARE_BINARY_DIR "/tests/scheduler_process",
                                     all.redis().socket_path()};
    if (passes > 0) command.insert(command.end(), {place, std::to_string(passes)});
    const std::string log = all.file(fmt::format("scheduler-{}.log", ++schedulers_));
    return std::make_unique<Process>(command, Process::Environment{}, log);
  }

  // How often each id was fired, as far as the broker has appended it.
  std::map<std::string, int> fired() {
    std::map<std::string, int> ids;
    auto redis = RedisSync::connect(all.redis().options());
    const std::string journal = store::journal_key("noop", protocol::Lane{});
    for (const auto& entry : test::read_journal(*redis, journal)) {
      for (const auto& [index, packed] : entry.events) {
        const auto event = protocol::view_event(packed);
        if (event && event->type == "schedule.fired") ++ids[std::string(event->id)];
      }
    }
    return ids;
  }
  // Whether each of the schedules that fire every second has fired so many instants, and one that
  // is later than `when`.
  bool each_has_fired(std::size_t times, WallTime when = {}) {
    std::map<std::string, std::pair<std::size_t, WallTime>> by_schedule;
    for (const auto& [id, count] : fired()) {
      auto& [instants_of_it, last] = by_schedule[id.substr(0, id.find('@'))];
      ++instants_of_it;
      last = std::max(last, *parse_wall_time(id.substr(id.find('@') + 1)));
    }
    return by_schedule.size() == kSchedules &&
           std::ranges::all_of(by_schedule, [&](const auto& each) {
             return each.second.first >= times && each.second.second > when;
           });
  }
  // The same, waited for: whatever was killed is at work again.
  bool comes_to_fire(std::size_t times) {
    const WallTime now = read_clocks().wall;
    return eventually([&] { return each_has_fired(times, now); });
  }
  bool outbox_is_empty() {
    return all.redis().command({"XLEN", store::outbox_key(store::kTriggers)}) == "0";
  }
  // Of schedules that fire every second, what is wrong with what has fired.
  std::vector<std::string> broken() {
    std::vector<std::string> broken;
    std::map<std::string, std::vector<std::string>> by_schedule;
    for (const auto& [id, times] : fired()) {
      if (times > 1) broken.push_back(fmt::format("{} fired {} times", id, times));
      by_schedule[id.substr(0, id.find('@'))].push_back(id.substr(id.find('@') + 1));
    }
    instants = 0;
    for (const auto& [name, times] : by_schedule) {
      WallTime last = *parse_wall_time(times.front()) - 1s;
      for (const std::string& text : times) {
        const WallTime at = *parse_wall_time(text);
        if (at != last + 1s) broken.push_back(fmt::format("{} misses one before {}", name, text));
        last = at;
        ++instants;
      }
    }
    if (by_schedule.size() != kSchedules) broken.emplace_back("some have not fired at all");
    return broken;
  }

  Installation all;
  WallTime since;
  std::size_t instants = 0;

 private:
  int schedulers_ = 0;
};

// Kills schedulers until each schedule has fired so many times, then lets the others come to rest.
void kill_schedulers(ScheduledInstallation& here, std::size_t times) {
  std::mt19937 random{7};
  const char* const places[] = {"scheduler.fire", "scheduler.fired"};
  auto one = here.scheduler(), other = here.scheduler();
  for (int round = 0; round < 100 && !here.each_has_fired(times); ++round) {
    // By itself, at a place; or by somebody else, at any time.
    if (round % 3 < 2) {
      one = here.scheduler(places[round % 3], 1 + static_cast<int>(random() % 15));
      one->wait_end(3s);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(100 + random() % 700));
    }
    if (one->running()) one->kill_hard();
    std::swap(one, other);
    if (!one->running()) one = here.scheduler();
  }
  one = here.scheduler();
  EXPECT_TRUE(here.comes_to_fire(times));
  one->kill_hard();
  if (other->running()) other->kill_hard();
  EXPECT_TRUE(eventually([&] { return here.outbox_is_empty(); }, 10s)) << here.all.logs();
}

TEST(Schedules, EachInstantFiresOnceWhoeverIsKilled) {
  ScheduledInstallation here;
  here.add_every_second();
  kill_schedulers(here, 8);
  EXPECT_THAT(here.broken(), ::testing::IsEmpty()) << here.all.logs();
  EXPECT_GE(here.instants, 8u * kSchedules);
}

TEST(SchedulesControl, WithoutTheFenceInstantsFireTwice) {
  ScheduledInstallation here;
  std::string library = store::library_text();
  for (const std::string& fence : {std::string("  if row == after then return {1, row} end\n"),
                                   std::string(" or row ~= before")}) {
    const auto at = library.find(fence);
    ASSERT_NE(at, library.npos);
    library.erase(at, fence.size());
  }
  ASSERT_THAT(here.all.redis().command({"FUNCTION", "LOAD", "REPLACE", library}),
              HasSubstr("fanfare"));
  here.add_every_second();
  const auto one = here.scheduler(), other = here.scheduler();
  EXPECT_TRUE(eventually([&] {
    return std::ranges::any_of(here.fired(), [](const auto& each) { return each.second == 2; });
  }));
}

// A broker that is killed while it empties the outbox neither loses nor doubles what lies there.
TEST(Schedules, ABrokerThatIsKilledLosesAndDoublesNothing) {
  ScheduledInstallation here;
  here.add_every_second();
  const auto scheduler = here.scheduler();
  std::mt19937 random{3};
  for (int round = 0; round < 4; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(700 + random() % 900));
    here.all.broker().kill_hard();
    here.all.start_broker();
  }
  EXPECT_TRUE(here.comes_to_fire(3));
  scheduler->kill_hard();
  EXPECT_TRUE(eventually([&] { return here.outbox_is_empty(); }, 20s)) << here.all.logs();
  EXPECT_THAT(here.broken(), ::testing::IsEmpty()) << here.all.logs();
  EXPECT_GE(here.instants, 3u * kSchedules);
}

// Row and event are on the disk together, or not at all.
TEST(Schedules, ARedisThatIsKilledLosesAndDoublesNothing) {
  ScheduledInstallation here("fsync");
  here.add_every_second();
  const auto one = here.scheduler(), other = here.scheduler();
  std::mt19937 random{5};
  for (int round = 0; round < 4; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(700 + random() % 900));
    here.all.redis().kill_hard();
    here.all.redis().start();
  }
  EXPECT_TRUE(here.comes_to_fire(4));
  one->kill_hard();
  other->kill_hard();
  EXPECT_TRUE(eventually([&] { return here.outbox_is_empty(); }, 20s)) << here.all.logs();
  EXPECT_THAT(here.broken(), ::testing::IsEmpty()) << here.all.logs();
  EXPECT_GE(here.instants, 4u * kSchedules);
}

// Runs that take longer than the period: one at a time, and those between them are skipped.
TEST(Schedules, WithoutOverlapARunThatCannotBeginInTimeIsSkipped) {
  ScheduledInstallation here("everysec", ScheduledInstallation::Worker::kThere);
  here.all.deploy("functions-testing/sleepy",
                  "[[on]]\npattern = '{\"type\": [\"schedule.fired\"]}'\n");
  Schedule schedule{.name = "long", .expression = *ScheduleExpression::parse("@every 2s")};
  schedule.since = read_clocks().wall;
  schedule.overlap = triggers::Overlap::kSkip;
  schedule.data = "4500";
  here.add(schedule);
  const auto scheduler = here.scheduler();
  const auto count = [&](const std::string& what) {
    const std::string text = here.all.redis().command({"HGET", store::counts_key("sleepy"), what});
    return text == "(nil)" ? 0 : std::stoi(text);
  };
  std::size_t most_at_once = 0;
  EXPECT_TRUE(eventually(
      [&] {
        const auto answer = here.all.client().admin("deliveries", R"({"name":"sleepy"})");
        if (answer) {
          most_at_once =
              std::max(most_at_once, nlohmann::json::parse(*answer).at("deliveries").size());
        }
        return count("succeeded") >= 2 && count("expired") >= 2;
      },
      30s))
      << here.all.logs();
  EXPECT_EQ(most_at_once, 1u);
}

TEST(Schedules, OneThatIsRemovedFiresNoMore) {
  ScheduledInstallation here;
  here.add_every_second();
  const auto scheduler = here.scheduler();
  ASSERT_TRUE(eventually([&] { return here.fired().size() >= kSchedules; }, 20s));
  for (int i = 0; i < kSchedules; ++i) here.set(fmt::format("s{}", i), {});
  ASSERT_TRUE(eventually([&] { return here.outbox_is_empty(); }, 10s));
  std::this_thread::sleep_for(200ms);  // an append that was under way
  const auto before = here.fired().size();
  std::this_thread::sleep_for(2500ms);
  EXPECT_EQ(here.fired().size(), before);
}

}  // namespace
}  // namespace fanfare::test
