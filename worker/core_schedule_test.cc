// Which instance takes what, and when another one is forked.
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

TEST(WorkerSchedule, AQuickFunctionGetsBatchesAndASecondOneWhileTheFirstRuns) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked[0];
  w.finish(instance, 1, 10us);
  w.deliver_entries(2, 1000);
  const auto& batches = w.effects.batches[instance];
  ASSERT_EQ(batches.size(), 2u);
  EXPECT_EQ(batches[0].ids.size(), 50u) << "500 µs of work";
  w.finish(instance, 50, 10us);
  EXPECT_EQ(w.effects.batches[instance].size(), 2u) << "it never runs dry";
}

TEST(WorkerSchedule, AFunctionOfMillisecondsGetsOneAtATime) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 3);
  w.finish(w.effects.forked[0], 1, 5ms);
  EXPECT_EQ(w.unfinished(w.effects.forked[0]), 1u);
}

TEST(WorkerSchedule, LargeEventsMakeSmallBatches) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 1us);
  std::vector<protocol::Delivery> large;
  for (std::uint64_t entry = 2; entry <= 9; ++entry) {
    large.push_back(Worker::delivery(entry));
    large.back().packed_event.assign(30 * 1024, 'x');
  }
  w.deliver(large);
  EXPECT_EQ(w.effects.batches[w.effects.forked[0]].front().ids.size(), 2u);
}

TEST(WorkerSchedule, TheWarmestIdleInstanceGoesFirst) {
  Worker w;
  w.join();
  w.deliver_entries(1, 3);
  const auto instances = w.effects.forked;
  ASSERT_EQ(instances.size(), 3u);
  w.finish(instances[2], 1, 50ms);
  w.finish(instances[0], 1, 50ms);
  w.finish(instances[1], 1, 50ms);
  w.deliver_entries(4, 4);
  EXPECT_EQ(w.unfinished(instances[1]), 1u);
}

TEST(WorkerSchedule, AStormOfDeliveriesForksNoMoreThanTheSlots) {
  Worker w({.name = "w1", .slots = 3});
  w.join();
  w.deliver_entries(1, 500);
  EXPECT_EQ(w.effects.forked.size(), 3u);
  for (int i = 0; i < 20; ++i) w.pass(10ms);
  EXPECT_EQ(w.effects.forked.size(), 3u);
}

TEST(WorkerSchedule, AFunctionThatCrashesEachTimeForksAtABoundedRate) {
  Worker w({.name = "w1", .slots = 4, .forks_per_second = 100, .forks_at_once = 10});
  w.join();
  w.deliver_entries(1, 500);
  std::size_t died = 0;
  for (int ms = 0; ms < 1000; ++ms) {
    while (died < w.effects.forked.size()) w.die(w.effects.forked[died++]);
    w.pass(1ms);
  }
  EXPECT_GE(died, 100u);
  EXPECT_LE(died, 115u);
  EXPECT_GT(w.core->counters().forks_delayed, 0u);
}

TEST(WorkerSchedule, ForksNoSecondInstanceForWorkThatIsDoneBeforeItWouldStart) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 1us);
  w.deliver_entries(2, 100);
  EXPECT_EQ(w.effects.forked.size(), 1u);
}

TEST(WorkerSchedule, ForksAnotherOneWhenWaitingCostsMoreThanAStart) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 5ms);
  w.deliver_entries(2, 3);
  EXPECT_EQ(w.effects.forked.size(), 2u);
}

TEST(WorkerSchedule, ForksAnotherOneWhenAUsuallyQuickInstanceIsStuck) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 10us);
  w.deliver_entries(2, 2);
  w.deliver_entries(3, 3);
  w.deliver_entries(4, 4);  // two batches are under way: this one waits
  EXPECT_EQ(w.effects.forked.size(), 1u);
  w.pass(5ms);
  EXPECT_EQ(w.effects.forked.size(), 2u);
}

TEST(WorkerSchedule, NeverExceedsMaxConcurrency) {
  Worker w({.name = "w1", .slots = 8});
  w.join({Worker::function("f", "max_concurrency = 2")});
  w.deliver_entries(1, 10);
  EXPECT_EQ(w.effects.forked.size(), 2u);
}

TEST(WorkerSchedule, IdleInstancesAreReapedAfterTheirKeepAlive) {
  Worker w;
  w.join({Worker::function("f", "keep_alive = \"3s\"")});
  w.deliver_entries(1, 2);
  w.finish(w.effects.forked[0]);
  w.finish(w.effects.forked[1]);
  w.answer_commits();
  w.pass(2900ms);
  EXPECT_TRUE(w.effects.kills.empty());
  w.pass(100ms);
  EXPECT_EQ(w.effects.kills.size(), 2u);
  for (const InstanceId instance : std::vector(w.effects.forked)) {
    w.die(instance, {.code = CLD_KILLED, .status = SIGTERM});
  }
  EXPECT_EQ(w.core->instances(), 0u);
  EXPECT_EQ(w.core->counters().instances_reaped, 2u);
  EXPECT_EQ(w.core->counters().instances_crashed, 0u);
}

// One event each time after `idle`, in one instance at a time; ends what was told to end.
void use_again_and_again(Worker& w, Duration idle, int times) {
  for (int i = 0; i < times; ++i) {
    const std::uint64_t entry = 100 + static_cast<std::uint64_t>(i);
    w.deliver_entries(entry, entry);
    w.core->on_zygote_ready(w.effects.zygotes.back().first, w.now);
    w.core->on_instance_started(w.effects.forked.back(), 1234, w.now);
    w.finish(w.effects.forked.back());
    w.answer_commits();
    for (Duration left = idle; left > 0s; left -= 1s) {
      w.pass(std::min<Duration>(left, 1s));
      w.core->on_instance_started(w.effects.forked.back(), 1234, w.now);
      while (!w.effects.kills.empty()) {
        const InstanceId instance = w.effects.kills.front().first;
        w.effects.kills.clear();
        w.die(instance, {.code = CLD_KILLED, .status = SIGTERM}, false);
      }
    }
  }
}

TEST(WorkerSchedule, IdleInstancesStayAsLongAsTheirFunctionsHabitsSay) {
  Worker w;
  w.join();
  use_again_and_again(w, 100s, 40);
  EXPECT_GT(w.effects.forked.size(), 32u) << "60 s are too short for it";
  const std::size_t forked = w.effects.forked.size();
  // It is needed each 100 s: so it goes at once, and is there again before it is needed.
  use_again_and_again(w, 100s, 10);
  EXPECT_EQ(w.effects.forked.size(), forked + 10);
  EXPECT_GE(w.core->counters().instances_brought_back, 10u);
  // Nobody comes any more: in the end there is none.
  use_again_and_again(w, 300s, 1);
  EXPECT_EQ(w.core->instances(), 0u);
}

TEST(WorkerSchedule, AKeepAliveThatIsSetHoldsWhateverTheHabits) {
  Worker w;
  w.join({Worker::function("f", "keep_alive = \"60s\"")});
  use_again_and_again(w, 100s, 50);
  EXPECT_EQ(w.effects.forked.size(), 50u);
  EXPECT_EQ(w.core->counters().instances_brought_back, 0u);
}

TEST(WorkerSchedule, ProvisionedInstancesStartAtOnceStayAndComeBack) {
  Worker w;
  w.join({Worker::function("f", "provisioned = 2\nkeep_alive = \"1s\"")});
  EXPECT_EQ(w.effects.forked.size(), 2u);
  w.pass(5s);
  EXPECT_TRUE(w.effects.kills.empty());
  w.die(w.effects.forked[0], {.code = CLD_KILLED, .status = SIGKILL}, false);
  EXPECT_EQ(w.effects.forked.size(), 3u);
}

TEST(WorkerSchedule, AnInstanceIsReplacedAfterItsUses) {
  Worker w({.name = "w1", .slots = 2, .max_uses = 3});
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked[0];
  w.finish(instance, 1, 10us);
  w.deliver_entries(2, 3);
  w.finish(instance, 2, 10us);
  EXPECT_EQ(w.effects.kills, (std::vector{std::pair(instance, SIGTERM)}));
  w.deliver_entries(4, 4);
  EXPECT_EQ(w.unfinished(instance), 0u);
  EXPECT_EQ(w.effects.forked.size(), 2u);
}

TEST(WorkerSchedule, AnInstanceNearItsMemoryLimitIsReplaced) {
  Worker w;
  w.join({Worker::function("f", "memory = \"64MiB\"")});
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 1ms, [](ItemResult& r) { r.peak_memory_kb = 60 * 1024; });
  EXPECT_EQ(w.effects.kills.size(), 1u);
  EXPECT_EQ(w.core->counters().instances_recycled, 1u);
}

TEST(WorkerSchedule, AnIdleInstanceOfAnotherFunctionGivesItsSlot) {
  Worker w({.name = "w1", .slots = 1});
  w.join({Worker::function("f"), Worker::function("g")});
  w.deliver_entries(1, 1);
  const InstanceId f = w.effects.forked[0];
  w.finish(f);
  w.deliver_entries(2, 2, "g");
  EXPECT_EQ(w.effects.kills, (std::vector{std::pair(f, SIGTERM)}));
  w.die(f, {.code = CLD_KILLED, .status = SIGTERM});
  EXPECT_EQ(w.effects.forked.size(), 2u);
  EXPECT_EQ(w.unfinished(w.effects.forked[1]), 1u);
}

TEST(WorkerSchedule, AFloodOfOneFunctionDoesNotStarveAnother) {
  Worker w({.name = "w1", .slots = 2});
  w.join({Worker::function("flood"), Worker::function("rare")});
  w.deliver_entries(1, 50, "flood");
  ASSERT_EQ(w.effects.forked.size(), 2u);
  w.deliver_entries(100, 100, "rare");
  EXPECT_TRUE(w.effects.kills.empty()) << "nobody is killed at work";
  w.finish(w.effects.forked[1], 1, 30ms);  // whoever is free first leaves
  ASSERT_EQ(w.effects.kills.size(), 1u);
  w.die(w.effects.kills[0].first, {.code = CLD_KILLED, .status = SIGTERM});
  ASSERT_EQ(w.effects.forked.size(), 3u);
  EXPECT_EQ(w.effects.batches[w.effects.forked[2]].front().ids.front().entry.ms, 100u);
  // The other one of the flood's goes on as before.
  w.finish(w.effects.forked[0], 1, 30ms);
  EXPECT_EQ(w.unfinished(w.effects.forked[0]), 1u);
}

TEST(WorkerSchedule, AForkThatFailsIsTriedAgainAfterAPauseAndLosesNothing) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  w.core->on_fork_failed(w.effects.forked[0], "no processes left", w.now);
  w.turn();
  EXPECT_EQ(w.effects.forked.size(), 1u);
  EXPECT_TRUE(w.done_rows().empty());
  w.pass(100ms);
  ASSERT_EQ(w.effects.forked.size(), 2u);
  EXPECT_EQ(w.unfinished(w.effects.forked[1]), 1u);
}

TEST(WorkerSchedule, WhatTheMachineGivesNoProcessForIsHandedBackAndUsesUpNothing) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 2);
  for (std::size_t tries = 1; tries <= 3; ++tries) {
    ASSERT_EQ(w.effects.forked.size(), tries);
    w.core->on_fork_failed(w.effects.forked.back(), "no processes left", w.now);
    w.turn();
    if (tries < 3) w.pass(1s);
  }
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 2u);
  for (const auto& row : rows) {
    EXPECT_EQ(row.outcome, protocol::Outcome::kThrottled);
    EXPECT_FALSE(protocol::counts_against_budget(row.outcome));
    EXPECT_EQ(row.failure.message, "no processes left");
  }
  EXPECT_EQ(w.core->counters().attempts_throttled, 2u);
  EXPECT_EQ(w.core->counters().attempts_failed, 0u);
}

TEST(WorkerSchedule, InstancesThatCannotBeSetUpFailWhatWaitsAfterAFewTries) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  for (std::size_t tries = 1; tries <= 3; ++tries) {
    ASSERT_EQ(w.effects.forked.size(), tries);
    EXPECT_TRUE(w.done_rows().empty());
    w.die(w.effects.forked.back(), {.code = CLD_EXITED, .status = kSetupFailedStatus}, false);
    if (tries < 3) w.pass(1s);
  }
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, protocol::Outcome::kInitFailed);
}

TEST(WorkerSchedule, AnInstanceThatBreaksTheRulesIsKilledAndItsWorkGoesOn) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked[0];
  std::vector<ItemResult> made_up{Worker::result({.number = 77, .ids = {}}, 0, w.now.steady, 1ms)};
  w.core->on_results(instance, made_up, w.now);
  w.turn();
  EXPECT_EQ(w.effects.kills, (std::vector{std::pair(instance, SIGKILL)}));
  w.die(instance, {.code = CLD_KILLED, .status = SIGKILL}, false);
  ASSERT_EQ(w.effects.forked.size(), 2u);
  EXPECT_EQ(w.unfinished(w.effects.forked[1]), 1u);
  EXPECT_EQ(w.core->counters().instances_broken, 1u);
}

TEST(WorkerSchedule, WorkThatArrivesWhileThePackageIsFetchedWaitsForIt) {
  Worker w;
  w.effects.zygotes_start_at_once = false;
  w.join();
  w.deliver_entries(1, 1);
  EXPECT_TRUE(w.effects.forked.empty());
  w.pass(60s);  // Redis was away; that is not the function's init
  EXPECT_TRUE(w.done_rows().empty());
  w.core->on_zygote_started(w.effects.zygotes[0].first, w.now);
  w.turn();
  EXPECT_EQ(w.effects.forked.size(), 1u);
}

}  // namespace
}  // namespace fanfare::worker
