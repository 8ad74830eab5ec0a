#include "triggers/schedule_table.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "protocol/event.h"
#include "store/model_store.h"
#include "triggers/schedule_json.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using store::Fired;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

WallTime clock_at(const std::string& text) {
  return *parse_wall_time("2026-11-28T" + text + "Z");
}

// A model of Redis and any number of schedulers on it.
class ScheduleTables : public ::testing::Test {
 protected:
  void add(const std::string& name, const std::string& expression,
           const std::function<void(Schedule&)>& more = {}) {
    Schedule schedule{.name = name, .expression = *ScheduleExpression::parse(expression)};
    schedule.since = clock_at("00:00:00");
    if (more) more(schedule);
    ASSERT_TRUE(redis.call(store::SetSchedule{name, to_json(schedule)}));
  }
  std::vector<Error> load(ScheduleTable& table) {
    return table.load(std::get<store::ScheduleList>(*redis.call(store::ListSchedules{})).items);
  }
  Fired ask(const store::Fire& call) { return std::get<Fired>(*redis.call(call)); }
  // Everything that is due, to the end.
  void run(ScheduleTable& table, WallTime now) {
    for (auto turn = table.take_due(now); !turn.calls.empty(); turn = table.take_due(now)) {
      for (const auto& call : turn.calls) table.on_fired(call, ask(call), now);
    }
  }
  // The ids of the events that were fired so far.
  std::vector<std::string> fired() {
    std::vector<std::string> ids;
    const auto* triggers = redis.find(std::string(store::kTriggers));
    if (!triggers) return ids;
    for (const auto& [id, entry] : triggers->outbox) {
      ids.push_back(protocol::unpack_event(entry.packed_event)->id);
    }
    return ids;
  }

  std::size_t distinct() {
    const auto ids = fired();
    return std::set<std::string>(ids.begin(), ids.end()).size();
  }

  store::ModelStore redis;
};

TEST_F(ScheduleTables, MeasureHowLateTheyFire) {
  add("a", "*/5 * * * *");
  ScheduleTable table;
  load(table);
  run(table, clock_at("00:01:00"));
  run(table, clock_at("00:05:00.250"));
  EXPECT_EQ(table.lag().count(), 1u);
  EXPECT_DOUBLE_EQ(table.lag().sum(), 0.25);
  // Redis refuses at first: late is what has not come, whoever is to blame.
  auto turn = table.take_due(clock_at("00:10:00"));
  table.on_fired(turn.calls.at(0), Error{ErrorKind::kRetryLater, "full"}, clock_at("00:10:00"));
  run(table, clock_at("00:10:02"));
  EXPECT_EQ(table.lag().count(), 2u);
  EXPECT_DOUBLE_EQ(table.lag().sum(), 2.25);
  // What another one fires is that one's.
  turn = table.take_due(clock_at("00:15:00"));
  ASSERT_THAT(turn.calls, SizeIs(1));
  ASSERT_EQ(ask(turn.calls[0]).outcome, Fired::Outcome::kDone);
  table.on_fired(turn.calls[0], ask(turn.calls[0]), clock_at("00:15:09"));
  EXPECT_EQ(table.lag().count(), 2u);
}

TEST_F(ScheduleTables, FireWhatIsDueAndSleepUntilTheNext) {
  add("a", "*/5 * * * *");
  add("b", "*/10 * * * *");
  ScheduleTable table;
  EXPECT_THAT(load(table), IsEmpty());
  run(table, clock_at("00:01:00"));
  EXPECT_THAT(fired(), IsEmpty());
  EXPECT_EQ(table.next_wake(), clock_at("00:05:00"));
  run(table, clock_at("00:10:00"));
  EXPECT_THAT(fired(), ElementsAre("a@2026-11-28T00:05:00.000Z", "a@2026-11-28T00:10:00.000Z",
                                   "b@2026-11-28T00:10:00.000Z"));
  EXPECT_EQ(table.next_wake(), clock_at("00:15:00"));
}

TEST_F(ScheduleTables, OfTwoSchedulersEachInstantIsFiredByOne) {
  add("a", "* * * * *");
  ScheduleTable one, other;
  load(one);
  load(other);
  for (WallTime now = clock_at("00:00:00"); now <= clock_at("01:00:00"); now += 20s) {
    // Both decide before either has heard of the other.
    auto first = one.take_due(now), second = other.take_due(now);
    for (const auto& call : first.calls) one.on_fired(call, ask(call), now);
    for (const auto& call : second.calls) other.on_fired(call, ask(call), now);
    run(one, now);
    run(other, now);
  }
  EXPECT_THAT(fired(), SizeIs(60));
  EXPECT_EQ(distinct(), 60u);
  EXPECT_EQ(one.counters().fired, 60u);
  EXPECT_EQ(other.counters().beaten, 60u);
}

TEST_F(ScheduleTables, ASchedulerThatComesLateGoesOnFromTheLedger) {
  add("a", "0 * * * *");
  ScheduleTable first;
  load(first);
  run(first, clock_at("03:00:00"));
  ScheduleTable second;
  load(second);
  run(second, clock_at("03:30:00"));
  EXPECT_EQ(second.counters().fired, 0u);
  run(second, clock_at("04:00:00"));
  EXPECT_EQ(second.counters().fired, 1u);
}

TEST_F(ScheduleTables, ALostAnswerIsAskedForAgainAndFiresNothingTwice) {
  add("a", "0 * * * *");
  ScheduleTable table;
  load(table);
  const auto turn = table.take_due(clock_at("01:00:00"));
  ASSERT_THAT(turn.calls, SizeIs(1));
  ask(turn.calls[0]);
  EXPECT_THAT(table.take_due(clock_at("01:00:00")).calls, IsEmpty()) << "one at a time";
  table.on_fired(turn.calls[0], reconnect("no answer"), clock_at("01:00:00"));
  EXPECT_EQ(table.next_wake(), clock_at("01:00:01"));
  run(table, clock_at("01:00:01"));
  EXPECT_THAT(fired(), SizeIs(1));
  EXPECT_EQ(table.counters().failed, 1u);
  EXPECT_EQ(table.next_wake(), clock_at("02:00:00"));
}

TEST_F(ScheduleTables, ManyMissedInstantsAreCaughtUpInParts) {
  add("a", "@every 1s", [](Schedule& schedule) {
    schedule.missed = Missed::kCatchUp;
    schedule.catch_up_max = 250;
  });
  ScheduleTable table;
  load(table);
  run(table, clock_at("01:00:00"));
  // 61 of the last minute, and 250 before them.
  EXPECT_THAT(fired(), SizeIs(311));
  EXPECT_EQ(distinct(), 311u);
  EXPECT_EQ(fired().back(), "a@2026-11-28T01:00:00.000Z");
  EXPECT_GE(table.counters().missed, 750u);
}

TEST_F(ScheduleTables, WhatIsDefinedAnewBeginsAnew) {
  add("a", "0 * * * *");
  ScheduleTable table;
  load(table);
  const auto turn = table.take_due(clock_at("01:00:00"));
  add("a", "30 * * * *");
  table.on_fired(turn.calls.at(0), ask(turn.calls[0]), clock_at("01:00:00"));
  EXPECT_THAT(fired(), IsEmpty()) << "decided by the definition before";
  EXPECT_EQ(table.next_wake(), std::nullopt);
  load(table);
  run(table, clock_at("01:00:10"));
  EXPECT_THAT(fired(), ElementsAre("a@2026-11-28T00:30:00.000Z"));
  ASSERT_TRUE(redis.call(store::SetSchedule{"a", {}}));
  load(table);
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.next_wake(), std::nullopt);
}

TEST_F(ScheduleTables, ARedisThatHasForgottenSomethingIsBelieved) {
  add("a", "0 * * * *");
  ScheduleTable table;
  load(table);
  run(table, clock_at("01:00:00"));
  redis = {};  // has lost all of it, and gives the same revision to another definition
  add("a", "30 * * * *", [](Schedule& schedule) { schedule.since = clock_at("01:10:00"); });
  load(table);
  run(table, clock_at("01:30:00"));
  EXPECT_THAT(fired(), ElementsAre("a@2026-11-28T01:30:00.000Z"));
}

// The row that it moved was forgotten: what is there now is taken, and the instant fires anew.
TEST_F(ScheduleTables, ARowThatRedisHasForgottenIsDecidedAnew) {
  add("a", "0 * * * *");
  const store::ModelStore before = redis;
  ScheduleTable table;
  load(table);
  run(table, clock_at("01:00:00"));
  redis = before;
  load(table);
  run(table, clock_at("02:00:00"));
  EXPECT_THAT(fired(), ElementsAre("a@2026-11-28T01:00:00.000Z", "a@2026-11-28T02:00:00.000Z"));
}

TEST_F(ScheduleTables, AClockThatWasSetBackIsSaidAndWaitedFor) {
  add("a", "0 * * * *");
  ScheduleTable table;
  load(table);
  run(table, clock_at("05:00:00"));
  ScheduleTable after;
  load(after);
  EXPECT_THAT(after.take_due(clock_at("03:00:00")).clock_behind, ElementsAre("a"));
  EXPECT_EQ(after.next_wake(), clock_at("06:00:00"));
  EXPECT_THAT(fired(), SizeIs(2)) << "what was missed, and what was due";
}

TEST_F(ScheduleTables, WhatCannotBeReadStandsStillAndOthersGoOn) {
  add("a", "0 * * * *");
  ASSERT_TRUE(redis.call(store::SetSchedule{"b", "{"}));
  ASSERT_TRUE(redis.call(store::SetSchedule{"c", R"({"name":"a","expression":"@daily"})"}));
  ScheduleTable table;
  const auto unreadable = load(table);
  ASSERT_THAT(unreadable, SizeIs(2));
  EXPECT_THAT(unreadable[0].message, HasSubstr("schedule b"));
  EXPECT_THAT(unreadable[1].message, HasSubstr("another name"));
  run(table, clock_at("01:00:00"));
  EXPECT_THAT(fired(), SizeIs(1));
}

TEST_F(ScheduleTables, TenThousandCostWhatIsDue) {
  for (int i = 0; i < 10'000; ++i) {
    add(fmt::format("s{}", i), fmt::format("{} {} * * *", i % 60, 1 + i / 60 % 20));
  }
  ScheduleTable table;
  load(table);
  run(table, clock_at("00:00:30"));
  EXPECT_EQ(table.counters().decisions, 10'000u) << "each once, to learn when it is due";
  for (int minute = 1; minute <= 10; ++minute) {
    run(table, clock_at("00:00:30") + std::chrono::minutes{minute});
  }
  EXPECT_EQ(table.counters().decisions, 10'000u) << "nothing was due";
  run(table, clock_at("01:05:00"));
  EXPECT_LT(table.counters().decisions, 10'200u);
  EXPECT_EQ(table.counters().fired, fired().size());
  EXPECT_GE(fired().size(), 48u);
}

TEST(LedgerRow, IsReadAsItWasWritten) {
  const LedgerRow row{clock_at("01:00:00"), 1, 2, 3};
  EXPECT_EQ(*parse_ledger_row(to_text(row)), row);
  EXPECT_EQ(*parse_ledger_row(""), LedgerRow{});
  for (const char* bad : {"1", "1 2 3", "1 2 3 4 ", "1 2 3 4 x", "1 2 3 4 5 6", "1 2 3 x",
                          "-1 2 3 4", " 1 2 3 4", "1  2 3 4"}) {
    EXPECT_FALSE(parse_ledger_row(bad)) << bad;
  }
}

// Also by schedulers that know nothing of when something was missed, as long as nothing was.
TEST(LedgerRow, SaysWhenSomethingWasMissed) {
  EXPECT_EQ(to_text({wall_from_ms(1000), 1, 0, 3}), "1000 1 0 3");
  EXPECT_EQ(to_text({wall_from_ms(1000), 1, 2, 3, wall_from_ms(2000)}), "1000 1 2 3 2000");
  EXPECT_EQ(parse_ledger_row("1000 1 2 3 2000")->missed_at, wall_from_ms(2000));
  EXPECT_EQ(parse_ledger_row("1000 1 2 3")->missed_at, WallTime{});
}

TEST_F(ScheduleTables, NoteWhenTheyNoticedThatSomethingWasMissed) {
  add("a", "*/5 * * * *", [](Schedule& schedule) { schedule.missed = Missed::kSkip; });
  const auto row = [&] {
    const auto listed = std::get<store::ScheduleList>(*redis.call(store::ListSchedules{}));
    return *parse_ledger_row(listed.items.at(0).row);
  };
  ScheduleTable table;
  load(table);
  run(table, clock_at("00:01:00"));
  run(table, clock_at("00:05:01"));
  EXPECT_EQ(row().missed_at, WallTime{});
  run(table, clock_at("00:22:00"));
  EXPECT_EQ(row().missed, 3u);
  EXPECT_EQ(row().missed_at, clock_at("00:22:00"));
  run(table, clock_at("00:25:01"));
  EXPECT_EQ(row().fired, 2u);
  EXPECT_EQ(row().missed_at, clock_at("00:22:00")) << "nothing was missed since";
}

}  // namespace
}  // namespace fanfare::triggers
