#include "autoscaler/worker_units.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::autoscaler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(WorkerUnits, AreThoseWithANumber) {
  const auto number = [](std::string_view unit) { return number_in(unit, "fanfare-worker@"); };
  EXPECT_EQ(number("fanfare-worker@1.service"), 1u);
  EXPECT_EQ(number("fanfare-worker@99999.service"), 99999u);
  for (const char* other :
       {"fanfare-worker@.service", "fanfare-worker@01.service", "fanfare-worker@0.service",
        "fanfare-worker@gpu.service", "fanfare-worker@1x.service", "fanfare-worker@-1.service",
        "fanfare-worker@100000.service", "fanfare-broker.service", "fanfare-worker@1.socket", ""}) {
    EXPECT_EQ(number(other), 0u) << other;
  }
}

TEST(WorkerUnits, ThatAreStartedAgainDoNotLeave) {
  EXPECT_FALSE(is_leaving("active", ""));
  EXPECT_TRUE(is_leaving("active", "stop"));
  EXPECT_TRUE(is_leaving("deactivating", ""));
  EXPECT_TRUE(is_leaving("deactivating", "stop"));
  EXPECT_FALSE(is_leaving("deactivating", "restart"));
  EXPECT_FALSE(is_leaving("deactivating", "start"));
  EXPECT_TRUE(is_there("activating", "start"));
  EXPECT_TRUE(is_there("inactive", "start"));
  EXPECT_FALSE(is_there("inactive", ""));
}

TEST(WorkerUnits, ThatHaveFailedAreThereUntilTheyAreStartedAgain) {
  EXPECT_TRUE(is_there("failed", ""));
  EXPECT_TRUE(has_failed("failed", ""));
  EXPECT_FALSE(has_failed("failed", "start"));
  EXPECT_FALSE(has_failed("active", ""));
}

// Settings that are wrong let each worker fail: the tick after must not try the next number, nor
// the same one at once.
TEST(WorkerUnits, ThatFailedStandForAWorkerAndAreTriedAgainAfterAMinute) {
  using namespace std::chrono_literals;
  const TimePoint t0{};
  const Attempts starts{.started = {{2, t0}}, .refused = {}};
  const std::vector<WorkerUnit> units{{.number = 1}, {.number = 2, .failed = true}};
  auto soon = units;
  forget_old_failures(soon, starts, t0 + 59s);
  EXPECT_EQ(count(soon).running, 1u);
  EXPECT_EQ(count(soon).failed, 1u);
  EXPECT_THAT(changes_to(soon, 2).start, IsEmpty());
  EXPECT_THAT(changes_to(soon, 3).start, ElementsAre(3));
  EXPECT_THAT(changes_to(soon, 0).stop, ElementsAre(1));
  auto later = units;
  forget_old_failures(later, starts, t0 + 60s);
  EXPECT_EQ(count(later).failed, 0u);
  EXPECT_THAT(changes_to(later, 2).start, ElementsAre(2));
}

TEST(WorkerUnits, ThatSomebodyElseStartedAndThatFailedAreTriedAtOnce) {
  std::vector<WorkerUnit> units{{.number = 1, .failed = true}};
  forget_old_failures(units, {}, TimePoint{});
  EXPECT_THAT(changes_to(units, 1).start, ElementsAre(1));
}

// A masked unit: others take its place, and it is tried again after a minute.
TEST(WorkerUnits, ThatWereRefusedAreSteppedOverForAMinute) {
  using namespace std::chrono_literals;
  const TimePoint t0{};
  const Attempts attempts{.started = {}, .refused = {{2, t0}}};
  EXPECT_THAT(set_aside(attempts, t0 + 59s), ElementsAre(2));
  EXPECT_THAT(set_aside(attempts, t0 + 60s), IsEmpty());
  EXPECT_THAT(changes_to({{.number = 1}}, 3, {2}).start, ElementsAre(3, 4));
  EXPECT_THAT(changes_to({{.number = 1}}, 3).start, ElementsAre(2, 3));
}

TEST(WorkerUnits, AreNotTriedWithoutEndWhereAllAreRefused) {
  std::set<std::uint32_t> aside;
  for (std::uint32_t number = 1; number < kAsideMax; ++number) aside.insert(number);
  EXPECT_THAT(changes_to({}, 1, aside).start, ElementsAre(kAsideMax));
  aside.insert(kAsideMax);
  EXPECT_THAT(changes_to({}, 1, aside).start, IsEmpty());
}

TEST(WorkerUnits, StartAtTheLowestFreeNumbers) {
  const auto changes = changes_to({{.number = 2}, {.number = 5, .leaving = true}}, 4);
  EXPECT_THAT(changes.start, ElementsAre(1, 3, 4));
  EXPECT_THAT(changes.stop, IsEmpty());
}

TEST(WorkerUnits, StopFromTheHighestNumberDown) {
  const auto changes =
      changes_to({{.number = 3}, {.number = 1}, {.number = 7}, {.number = 9, .leaving = true}}, 1);
  EXPECT_THAT(changes.stop, ElementsAre(7, 3));
  EXPECT_THAT(changes.start, IsEmpty());
}

TEST(WorkerUnits, AreCountedApartOnceTheyLeave) {
  const WorkerSet set = count({{.number = 3}, {.number = 1}, {.number = 9, .leaving = true}});
  EXPECT_EQ(set.running, 2u);
  EXPECT_EQ(set.leaving, 1u);
}

}  // namespace
}  // namespace fanfare::autoscaler
