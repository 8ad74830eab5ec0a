// What is quick does not wait for slots that long ones hold.
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

// Four slots; "quick" is known to take a millisecond, "long" 300.
class Express : public ::testing::Test {
 protected:
  Express() {
    worker.join({Worker::function("long"), Worker::function("quick"), Worker::function("other")});
    use("quick", 1ms);
    use("other", 1ms);
    use("long", 300ms);
    for (int step = 0; step < 100; ++step) worker.pass(1s);  // their instances leave
    bury_the_killed();
    EXPECT_EQ(worker.core->instances(), 0u);
  }

  void bury_the_killed() {
    for (const auto& [id, signal] : std::exchange(worker.effects.kills, {})) {
      worker.die(id, {.code = CLD_EXITED, .status = 0}, /*while_running=*/false);
    }
  }

  // One delivery, in an instance of its own.
  void use(const std::string& name, Duration took) {
    worker.deliver({worker.delivery(next++)}, name);
    worker.core->on_zygote_ready(worker.effects.zygotes.back().first, worker.now);
    worker.finish(worker.effects.forked.back(), 1, took);
    worker.answer_commits();
  }
  void fill_slots() {
    worker.deliver_entries(next, next + 7, "long");
    next += 8;
    ASSERT_EQ(worker.core->instances(), 4u);
  }
  std::size_t instances(const std::string& name) {
    return worker.core->functions().at(name)->instances.size();
  }
  std::size_t retiring(const std::string& name) {
    return static_cast<std::size_t>(
        std::ranges::count_if(worker.core->functions().at(name)->instances,
                              [](const Instance* one) { return one->retiring; }));
  }
  ZygoteId zygote_of(const std::string& name) { return worker.core->functions().at(name)->zygote; }
  InstanceId only(const std::string& name) {
    return worker.core->functions().at(name)->instances.at(0)->id;
  }

  Worker worker;
  std::uint64_t next = 1;
};

TEST_F(Express, RunsWhatIsQuickBesideTheSlotsThatLongOnesHold) {
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  ASSERT_EQ(instances("quick"), 1u);
  EXPECT_EQ(worker.unfinished(only("quick")), 1u);
  EXPECT_EQ(instances("long"), 4u);
  EXPECT_EQ(worker.core->counters().instances_express, 1u);
}

TEST_F(Express, IsKeptForTheNextDelivery) {
  fill_slots();
  for (int turn = 0; turn < 3; ++turn) {
    worker.deliver({worker.delivery(next++)}, "quick");
    worker.finish(only("quick"));
    worker.answer_commits();
    worker.pass(100ms);
  }
  EXPECT_EQ(worker.core->counters().instances_express, 1u);
}

TEST_F(Express, DoesNotGiveItsPlaceToWhatWaitsForASlot) {
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  worker.finish(only("quick"));
  worker.pass(1s);
  EXPECT_EQ(instances("quick"), 1u);
  EXPECT_EQ(instances("long"), 4u) << "four of its deliveries wait, and there are four slots";
}

TEST_F(Express, MovesIntoASlotThatIsFree) {
  worker.deliver_entries(next, next + 3, "long");
  next += 4;
  worker.deliver({worker.delivery(next++)}, "quick");
  ASSERT_EQ(worker.core->express(), only("quick"));
  ASSERT_EQ(worker.core->instances(), 5u);
  const InstanceId leaves = worker.core->functions().at("long")->instances.at(0)->id;
  worker.finish(leaves, 1, 300ms);
  worker.die(leaves, {.code = CLD_EXITED, .status = 0}, /*while_running=*/false);
  EXPECT_EQ(worker.core->slots_taken(), 3u);
  worker.finish(only("quick"));
  EXPECT_FALSE(worker.core->express());
  EXPECT_EQ(worker.core->slots_taken(), 4u);
  EXPECT_EQ(worker.core->instances(), 4u);
}

TEST_F(Express, IsForOneAtATimeAndQuickOnesTakeTurns) {
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  worker.deliver({worker.delivery(next++)}, "other");
  EXPECT_EQ(instances("other"), 0u);
  const InstanceId first = only("quick");
  worker.finish(first);
  worker.pass(1ms);
  ASSERT_EQ(worker.effects.kills.size(), 1u);
  EXPECT_EQ(worker.effects.kills[0].first, first);
  bury_the_killed();
  EXPECT_EQ(instances("other"), 1u);
  EXPECT_EQ(worker.core->instances(), 5u);
}

TEST_F(Express, ChangesHandsWithoutALongOnesLeavingForIt) {
  fill_slots();
  for (int change = 0; change < 3; ++change) {
    for (const char* name : {"quick", "other"}) {
      worker.deliver({worker.delivery(next++)}, name);
      bury_the_killed();
      worker.finish(only(name));
      worker.answer_commits();
    }
  }
  EXPECT_EQ(worker.core->counters().instances_express, 6u);
  EXPECT_EQ(retiring("long"), 0u);
  EXPECT_EQ(instances("long"), 4u);
}

TEST_F(Express, IsLeftByOneThatIsNeverIdleWhileAnotherWaits) {
  fill_slots();
  for (int i = 0; i < 20; ++i) worker.deliver({worker.delivery(next++)}, "quick");
  const InstanceId first = only("quick");
  worker.deliver({worker.delivery(next++)}, "other");
  for (int step = 0; step < 4; ++step) worker.finish(first);  // a millisecond each
  EXPECT_TRUE(worker.effects.kills.empty()) << "its turn is 5 ms";
  for (int step = 0; step < 4; ++step) worker.finish(first);
  ASSERT_EQ(worker.effects.kills.size(), 1u);
  EXPECT_EQ(worker.effects.kills[0].first, first);
  bury_the_killed();
  ASSERT_EQ(instances("other"), 1u) << "it was next, though the other one has more to do";
  EXPECT_EQ(worker.core->express(), only("other"));
  EXPECT_EQ(instances("quick"), 0u);
  // And back again, as that is idle.
  worker.finish(only("other"));
  worker.pass(5ms);
  bury_the_killed();
  EXPECT_EQ(instances("quick"), 1u);
}

TEST_F(Express, WhoseTurnDoesNotComeWaitsForASlotAsWell) {
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  worker.deliver({worker.delivery(next++)}, "other");
  worker.pass(50ms);
  EXPECT_EQ(retiring("quick"), 1u) << "it is at something that takes longer than usual";
  EXPECT_EQ(retiring("long"), 0u);
  worker.pass(50ms);
  EXPECT_EQ(retiring("long"), 1u);
  worker.finish(only("quick"));
  bury_the_killed();
  EXPECT_EQ(instances("other"), 1u);
  EXPECT_EQ(retiring("long"), 0u) << "it need not leave any more";
}

TEST_F(Express, IsLeftByOneThatTurnsOutToTakeLong) {
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  worker.finish(only("quick"), 1, 400ms);
  ASSERT_EQ(worker.effects.kills.size(), 1u);
  bury_the_killed();
  EXPECT_EQ(worker.core->instances(), 4u);
  worker.deliver({worker.delivery(next++)}, "quick");
  EXPECT_EQ(instances("quick"), 0u) << "it waits for a slot";
}

TEST_F(Express, IsNotLeftForOneThatCannotBeForkedNow) {
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  worker.finish(only("quick"));
  worker.core->on_zygote_gone(zygote_of("other"), worker.now);
  worker.effects.zygotes_start_at_once = false;
  worker.deliver({worker.delivery(next++)}, "other");
  worker.pass(1s);
  EXPECT_TRUE(worker.effects.kills.empty());
  EXPECT_EQ(instances("quick"), 1u);
}

TEST_F(Express, IsNotLeftByAnInstanceThatIsPromised) {
  fill_slots();
  worker.join({Worker::function("long"), Worker::function("quick", "provisioned = 1\n", 2),
               Worker::function("other")});
  worker.deliver({worker.delivery(next++)}, "quick");
  ASSERT_EQ(worker.core->express(), only("quick"));
  worker.finish(only("quick"));
  worker.deliver({worker.delivery(next++)}, "other");
  worker.pass(1s);
  EXPECT_EQ(instances("quick"), 1u);
  EXPECT_EQ(retiring("quick"), 0u);
}

TEST_F(Express, WhoWasToLeaveForOneThatGoesThereStays) {
  worker.join({Worker::function("long"), Worker::function("quick"), Worker::function("tiny")});
  use("tiny", 100us);
  worker.deliver({worker.delivery(next), worker.delivery(next + 1)}, "tiny");
  next += 2;
  ASSERT_EQ(worker.unfinished(only("tiny")), 2u);
  worker.deliver_entries(next, next + 7, "long");
  next += 8;
  ASSERT_EQ(worker.core->instances(), 4u);
  worker.deliver({worker.delivery(next++)}, "quick");
  ASSERT_EQ(retiring("long"), 1u) << "not all that hold slots are long, so it waits for one";
  worker.finish(only("tiny"), 1, 1500ms);
  EXPECT_EQ(instances("quick"), 1u) << "now they are";
  EXPECT_EQ(retiring("long"), 0u);
}

TEST_F(Express, IsForANewGenerationOfOneThatWasQuick) {
  worker.join(
      {Worker::function("long"), Worker::function("quick", "", 2), Worker::function("other")});
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  ASSERT_EQ(worker.core->express(), only("quick"));
  worker.finish(only("quick"), 1, 400ms);
  EXPECT_GE(worker.core->functions().at("quick")->service_ns, 400e6)
      << "what it does itself counts, and not what the former one did";
}

TEST_F(Express, IsNotForWhatMayTakeLong) {
  worker.join({Worker::function("long"), Worker::function("unknown")});
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "unknown");
  EXPECT_EQ(instances("unknown"), 0u);
}

TEST_F(Express, IsNotNeededWhereASlotIsFreeSoon) {
  worker.deliver({worker.delivery(next++)}, "other");
  worker.deliver_entries(next, next + 7, "long");
  next += 8;
  ASSERT_EQ(worker.core->instances(), 4u);
  worker.deliver({worker.delivery(next++)}, "quick");
  EXPECT_EQ(instances("quick"), 0u);
  EXPECT_EQ(worker.core->counters().instances_express, 0u);
}

}  // namespace
}  // namespace fanfare::worker
