#include "autoscaler/drains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::autoscaler {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Duration kFinish = 15min;
const TimePoint kT0{1h};

std::vector<std::uint32_t> numbers(const std::vector<Drain>& drains) {
  std::vector<std::uint32_t> all;
  for (const Drain& drain : drains) all.push_back(drain.number);
  return all;
}

// This host's workers 1 to `count`, all at work; number N has the process 100 + N.
Fleet fleet_of(std::uint32_t count) {
  Fleet fleet{.units = {}, .workers = {}, .boot = "here", .aside = {}};
  for (std::uint32_t number = 1; number <= count; ++number) {
    fleet.units.push_back({.number = number, .pid = 100 + number});
    fleet.workers.push_back({.name = "host-" + std::to_string(number),
                             .state = "running",
                             .host = "here",
                             .pid = 100 + number,
                             .slots = 8,
                             .held = 2});
  }
  return fleet;
}

Drain drain_of(std::uint32_t number, TimePoint since = kT0) {
  return {.number = number,
          .worker = "host-" + std::to_string(number),
          .pid = 100 + number,
          .since = since};
}

// What `steps_to` does with one that drains, which the broker shows like this.
Steps with_a_drain(std::string state, std::uint64_t held, TimePoint now,
                   Drain drain = drain_of(2)) {
  Fleet fleet = fleet_of(2);
  fleet.workers[1].state = std::move(state);
  fleet.workers[1].held = held;
  return steps_to(1, fleet, {{2, drain}}, now, kFinish);
}

TEST(Drains, BeginWithTheHighestNumberWhichIsToldToFinishAndNotStopped) {
  const Steps steps = steps_to(1, fleet_of(3), {}, kT0, kFinish);
  EXPECT_EQ(steps.quiet, (std::vector{drain_of(3), drain_of(2)}));
  EXPECT_THAT(steps.stop, IsEmpty());
  EXPECT_THAT(steps.start, IsEmpty());
}

TEST(Drains, LeaveWhenTheyHoldNothing) {
  EXPECT_THAT(with_a_drain("quiet", 1, kT0 + 10min).stop, IsEmpty()) << "it runs something";
  EXPECT_THAT(with_a_drain("quiet", 0, kT0 + 2s).stop, ElementsAre(2));
  EXPECT_THAT(with_a_drain("running", 0, kT0 + 2s).stop, IsEmpty()) << "it takes work still";
}

TEST(Drains, LeaveWhenTheirTimeIsUp) {
  EXPECT_THAT(with_a_drain("quiet", 1, kT0 + 15min - 1s).stop, IsEmpty());
  EXPECT_THAT(with_a_drain("quiet", 1, kT0 + 15min).stop, ElementsAre(2));
}

TEST(Drains, LeaveWhenTheBrokerKnowsThemNoMore) {
  Fleet fleet = fleet_of(2);
  fleet.workers.pop_back();
  EXPECT_THAT(steps_to(1, fleet, {{2, drain_of(2)}}, kT0 + 2s, kFinish).stop, ElementsAre(2));
}

TEST(Drains, CountAsLeavingAndNotAsRunning) {
  const WorkerSet set = count(fleet_of(3), {{3, drain_of(3)}});
  EXPECT_EQ(set.running, 2u);
  EXPECT_EQ(set.leaving, 1u);
  EXPECT_THAT(set.drains, ElementsAre(drain_of(3)));
}

// It is there at once, and what it holds is not begun anew.
TEST(Drains, AreTakenBackBeforeAnotherWorkerIsStarted) {
  const Drains drains{{3, drain_of(3)}, {4, drain_of(4)}};
  Fleet fleet = fleet_of(4);
  fleet.workers[2].state = fleet.workers[3].state = "quiet";
  const Steps one = steps_to(3, fleet, drains, kT0 + 2s, kFinish);
  EXPECT_THAT(numbers(one.take_back), ElementsAre(3));
  EXPECT_THAT(one.start, IsEmpty());
  EXPECT_THAT(one.stop, IsEmpty()) << "4 goes on";
  fleet.workers[2].held = 0;
  const Steps three = steps_to(5, fleet, drains, kT0 + 2s, kFinish);
  EXPECT_THAT(numbers(three.take_back), ElementsAre(3, 4)) << "also one that has just finished";
  EXPECT_THAT(three.start, ElementsAre(5));
}

TEST(Drains, ThatAreStoppedCannotBeTakenBackAndTheirNumbersAreNotFree) {
  Drain stopped = drain_of(2);
  stopped.stopped = true;
  Fleet fleet = fleet_of(2);
  fleet.workers[1].state = "quiet";
  const Steps steps = steps_to(2, fleet, {{2, stopped}}, kT0 + 2s, kFinish);
  EXPECT_THAT(steps.take_back, IsEmpty());
  EXPECT_THAT(steps.start, ElementsAre(3));
  EXPECT_THAT(steps.free, IsEmpty()) << "the broker has the process still";
  fleet.units[1].leaving = true;
  fleet.workers[1].state = "terminating";
  EXPECT_THAT(steps_to(2, fleet, {{2, stopped}}, kT0 + 4s, kFinish).free, IsEmpty());
}

// Else the next worker of this name would idle.
TEST(Drains, EndWithTheBrokerForgettingThatTheWorkerWasToBeQuiet) {
  Drain stopped = drain_of(2);
  stopped.stopped = true;
  Fleet fleet = fleet_of(1);
  EXPECT_THAT(steps_to(1, fleet, {{2, stopped}}, kT0 + 4s, kFinish).free, ElementsAre(stopped));
  fleet = fleet_of(2);
  fleet.units[1].pid = fleet.workers[1].pid = 777;
  fleet.workers[1].state = "quiet";
  EXPECT_THAT(steps_to(2, fleet, {{2, stopped}}, kT0 + 4s, kFinish).free, ElementsAre(stopped))
      << "somebody has started it again";
}

TEST(Drains, OfUnitsThatSomebodyElseHasStoppedEndTheSameWay) {
  Fleet fleet = fleet_of(2);
  fleet.units.pop_back();
  fleet.workers.pop_back();
  EXPECT_THAT(numbers(steps_to(1, fleet, {{2, drain_of(2)}}, kT0 + 2s, kFinish).free),
              ElementsAre(2));
}

// By an operator, or the broker was started anew and has not heard of it.
TEST(Drains, OfWorkersThatWereTakenBackAreNoneAnyMore) {
  EXPECT_THAT(with_a_drain("running", 3, kT0 + 9s).forget, IsEmpty());
  EXPECT_THAT(with_a_drain("running", 3, kT0 + 10s).forget, ElementsAre(2));
  EXPECT_THAT(with_a_drain("quiet", 3, kT0 + 10s).forget, IsEmpty());
}

TEST(Drains, ThatTheBrokerDoesNotGiveBackAreStoppedAndReplaced) {
  Drain lost = drain_of(2);
  lost.lost = true;
  Fleet fleet = fleet_of(2);
  fleet.workers[1].state = "quiet";
  const Steps steps = steps_to(2, fleet, {{2, lost}}, kT0 + 2s, kFinish);
  EXPECT_THAT(steps.take_back, IsEmpty());
  EXPECT_THAT(steps.stop, ElementsAre(2));
  EXPECT_THAT(steps.start, ElementsAre(3));
}

TEST(Drains, AreSkippedWhereNobodyCanBeToldToFinish) {
  Fleet unknown = fleet_of(2);
  unknown.units[1].pid = 0;
  EXPECT_THAT(steps_to(1, unknown, {}, kT0, kFinish).stop, ElementsAre(2))
      << "no connected worker runs in it";
  Fleet going = fleet_of(2);
  going.workers[1].state = "terminating";
  EXPECT_THAT(steps_to(1, going, {}, kT0, kFinish).stop, ElementsAre(2));
  EXPECT_THAT(steps_to(1, fleet_of(2), {}, kT0, 0s).stop, ElementsAre(2)) << "finish_time = 0";
  EXPECT_THAT(steps_to(1, fleet_of(2), {}, kT0, 0s).quiet, IsEmpty());
}

// Process numbers mean something on one host only.
TEST(Fleets, KnowWorkersOfOtherHostsAndOfOtherUnits) {
  Fleet fleet = fleet_of(2);
  fleet.workers.push_back(
      {.name = "far", .state = "running", .host = "there", .pid = 101, .slots = 16});
  fleet.workers.push_back(
      {.name = "gpu", .state = "running", .host = "here", .pid = 500, .slots = 4});
  fleet.workers.push_back(
      {.name = "quiet", .state = "quiet", .host = "there", .pid = 9, .slots = 100});
  EXPECT_EQ(count(fleet, {}).slots_elsewhere, 20);
  EXPECT_EQ(count(fleet_of(2), {}).slots_elsewhere, 0);
  fleet.workers[1].host = "there";
  EXPECT_THAT(steps_to(1, fleet, {}, kT0, kFinish).stop, ElementsAre(2)) << "not that of there";
}

TEST(Fleets, CountNumbersThatSystemdRefuses) {
  Fleet fleet = fleet_of(1);
  fleet.aside = {2};
  EXPECT_EQ(count(fleet, {}).refused, 1u);
  EXPECT_EQ(count(fleet, {}).running, 1u);
  EXPECT_THAT(steps_to(2, fleet, {}, kT0, kFinish).start, ElementsAre(3));
}

}  // namespace
}  // namespace fanfare::autoscaler
