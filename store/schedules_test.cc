// Schedules in Redis, and in the model that stands for it: who may move a row, and what moves with
// it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/encode.h"
#include "store/model_store.h"
#include "store/test_store.h"

namespace fanfare::store::test {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

// Asks both, expects the same of both.
class Schedules : public ::testing::Test {
 protected:
  Schedules() {
    redis.get<Begun>(Begin{});
    EXPECT_TRUE(model.call(Begin{}));
  }
  template <typename T>
  std::pair<T, T> both(const Call& call) {
    return {redis.get<T>(call), std::get<T>(*model.call(call))};
  }
  ScheduleSet set(const std::string& name, const std::string& definition) {
    const auto [one, other] = both<ScheduleSet>(SetSchedule{name, definition});
    EXPECT_EQ(one.existed, other.existed);
    EXPECT_EQ(one.revision, other.revision);
    return one;
  }
  Fired fire(const Fire& call) {
    const auto [one, other] = both<Fired>(call);
    EXPECT_EQ(one.outcome, other.outcome);
    EXPECT_EQ(one.row, other.row);
    return one;
  }
  std::vector<std::string> outbox() {
    std::vector<std::string> events, modelled;
    const auto [one, other] = both<OutboxPage>(ReadOutbox{std::string(kTriggers), {}, 256});
    for (const auto& entry : one.entries) events.push_back(entry.to + ">" + entry.packed_event);
    for (const auto& entry : other.entries) modelled.push_back(entry.to + ">" + entry.packed_event);
    EXPECT_EQ(events, modelled);
    return events;
  }
  std::vector<std::string> list() {
    std::vector<std::string> items;
    ListSchedules call;
    do {
      const auto page = redis.get<ScheduleList>(call);
      for (const auto& item : page.items) {
        items.push_back(item.name + " " + std::to_string(item.revision) + " " + item.definition +
                        " " + item.row);
      }
      call.cursor = page.next;
    } while (!call.cursor.empty());
    return items;
  }

  TestStore redis{{.append_only = false}};
  ModelStore model;
};

TEST_F(Schedules, AreDefinedListedAndRemoved) {
  EXPECT_EQ(set("a", "{1}").revision, 1u);
  EXPECT_EQ(set("b", "{2}").revision, 2u);
  EXPECT_TRUE(set("a", "{3} {4}").existed);
  EXPECT_THAT(list(), UnorderedElementsAre("a 3 {3} {4} ", "b 2 {2} "));
  EXPECT_FALSE(set("c", "").existed);
  EXPECT_TRUE(set("b", "").existed);
  EXPECT_THAT(list(), ElementsAre("a 3 {3} {4} "));
  EXPECT_EQ(both<Revision>(GetRevision{}).first.revision, 4u);
}

TEST_F(Schedules, ManyAreListedInPages) {
  for (int i = 0; i < 1000; ++i) redis.get<ScheduleSet>(SetSchedule{std::to_string(i), "{}"});
  EXPECT_FALSE(redis.get<ScheduleList>(ListSchedules{}).next.empty());
  EXPECT_GE(list().size(), 1000u);
}

TEST_F(Schedules, AFireMovesTheRowAndLeavesItsEventsInOneStep) {
  set("a", "{}");
  EXPECT_EQ(fire({"a", 1, "", "100", {"e0", "e1"}}).outcome, Fired::Outcome::kDone);
  EXPECT_THAT(outbox(), ElementsAre(">e0", ">e1"));
  EXPECT_EQ(fire({"a", 1, "100", "200", {}}).outcome, Fired::Outcome::kDone);
  EXPECT_THAT(outbox(), SizeIs(2));
  EXPECT_THAT(list(), ElementsAre("a 1 {} 200"));
}

TEST_F(Schedules, OfTwoThatFireTheSameInstantOneDoes) {
  set("a", "{}");
  const Fire call{"a", 1, "", "100", {"e0"}};
  EXPECT_EQ(fire(call).outcome, Fired::Outcome::kDone);
  EXPECT_EQ(fire(call).outcome, Fired::Outcome::kDoneBefore);
  EXPECT_THAT(outbox(), ElementsAre(">e0"));
}

TEST_F(Schedules, ALateRepeatFiresNothing) {
  set("a", "{}");
  const Fire first{"a", 1, "", "100", {"e0"}};
  fire(first);
  fire({"a", 1, "100", "200", {"e1"}});
  const Fired late = fire(first);
  EXPECT_EQ(late.outcome, Fired::Outcome::kStale);
  EXPECT_EQ(late.row, "200");
  EXPECT_THAT(outbox(), ElementsAre(">e0", ">e1"));
}

TEST_F(Schedules, WhatWasDecidedByAnotherDefinitionFiresNothing) {
  set("a", "{1}");
  set("a", "{2}");
  EXPECT_EQ(fire({"a", 1, "", "100", {"e0"}}).outcome, Fired::Outcome::kStale);
  EXPECT_EQ(fire({"a", 2, "", "100", {"e0"}}).outcome, Fired::Outcome::kDone);
  set("a", "");
  EXPECT_EQ(fire({"a", 2, "100", "200", {"e1"}}).outcome, Fired::Outcome::kStale);
  set("a", "{1}");  // begins anew, without a row
  EXPECT_EQ(fire({"a", 4, "100", "200", {"e1"}}).outcome, Fired::Outcome::kStale);
  EXPECT_THAT(outbox(), ElementsAre(">e0"));
}

TEST_F(Schedules, AFullRedisFiresNothingButLetsThemBeRemoved) {
  set("a", "{}");
  redis.command({"CONFIG", "SET", "maxmemory", "1"});
  EXPECT_EQ(redis.refusal(Fire{"a", 1, "", "100", {"e0"}}), ErrorKind::kRetryLater);
  EXPECT_EQ(redis.refusal(SetSchedule{"b", "{}"}), ErrorKind::kRetryLater);
  EXPECT_TRUE(redis.get<ScheduleSet>(SetSchedule{"a", ""}).existed);
}

TEST(ScheduleCalls, BeyondTheirLimitsAreRefused) {
  EXPECT_FALSE(check(Fire{"a", 1, "", "", {}}));
  EXPECT_FALSE(check(Fire{"a", 1, "", "1", std::vector<std::string>(257, "e")}));
  EXPECT_FALSE(check(SetSchedule{std::string(65, 'a'), "{}"}));
  EXPECT_FALSE(check(SetSchedule{"a", std::string((256 << 10) + 1, ' ')}));
  EXPECT_FALSE(check(ReadOutbox{"@others", {}, 1}));
  EXPECT_TRUE(check(ReadOutbox{std::string(kTriggers), {}, 1}));
}

}  // namespace
}  // namespace fanfare::store::test
