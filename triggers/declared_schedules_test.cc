#include "triggers/declared_schedules.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "triggers/schedule_json.h"

namespace fanfare::triggers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const WallTime kMonday = *parse_wall_time("2026-11-30T00:00:00Z");
const WallTime kTuesday = *parse_wall_time("2026-12-01T00:00:00Z");

Schedule hourly(const std::string& name, const std::string& expression = "rate(1 hour)") {
  return {.name = name, .expression = *ScheduleExpression::parse(expression)};
}
store::ScheduleList::Item held_item(Schedule schedule, bool declared) {
  schedule.since = kMonday;
  schedule.declared = declared;
  return {.name = schedule.name, .definition = to_json(schedule), .row = "", .revision = 1};
}
std::vector<std::string> told(const std::vector<ScheduleChange>& changes) {
  std::vector<std::string> all;
  for (const auto& change : changes) {
    all.push_back(fmt::format("{} {}", change.call.name, to_string(change.what)));
  }
  return all;
}

TEST(DeclaredSchedules, AreAddedOnceAndThenLeftAlone) {
  const auto changes = changes_of({hourly("a")}, {}, kMonday);
  EXPECT_THAT(told(changes), ElementsAre("a added"));
  const auto added = schedule_from_json(changes[0].call.definition);
  ASSERT_TRUE(added);
  EXPECT_TRUE(added->declared);
  EXPECT_EQ(added->since, kMonday);
  const store::ScheduleList::Item held{"a", changes[0].call.definition, "", 1};
  EXPECT_THAT(changes_of({hourly("a")}, {held}, kTuesday), IsEmpty());
}

TEST(DeclaredSchedules, ThatChangedAreReplacedAndThoseThatAreGoneRemoved) {
  const std::vector held{held_item(hourly("a"), true), held_item(hourly("b"), true)};
  const auto changes = changes_of({hourly("a", "rate(2 hours)")}, held, kTuesday);
  EXPECT_THAT(told(changes), ElementsAre("a replaced", "b removed"));
  EXPECT_EQ(changes[1].call.definition, "");
  EXPECT_EQ(schedule_from_json(changes[0].call.definition)->since, kTuesday);
}

TEST(DeclaredSchedules, LeaveOthersAloneButForThoseOfTheirName) {
  const std::vector held{held_item(hourly("a"), false), held_item(hourly("b"), false)};
  EXPECT_THAT(changes_of({}, held, kTuesday), IsEmpty());
  EXPECT_THAT(told(changes_of({hourly("a")}, held, kTuesday)),
              ElementsAre("a replaced, which an operator had added"));
}

TEST(DeclaredSchedules, TakeThePlaceOfWhatCannotBeRead) {
  const store::ScheduleList::Item broken{"a", "{\"later\":1}", "", 1};
  EXPECT_THAT(changes_of({}, {broken}, kTuesday), IsEmpty());
  EXPECT_THAT(told(changes_of({hourly("a")}, {broken}, kTuesday)), ElementsAre("a replaced"));
}

}  // namespace
}  // namespace fanfare::triggers
