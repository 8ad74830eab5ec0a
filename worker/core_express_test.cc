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
  fill_slots();
  worker.deliver({worker.delivery(next++)}, "quick");
  for (const InstanceId id : std::vector(worker.effects.forked)) {
    if (worker.unfinished(id) > 0 && id != only("quick")) worker.die(id);
  }
  worker.finish(only("quick"));
  worker.deliver_entries(next, next + 9, "long");
  next += 10;
  worker.pass(1ms);
  EXPECT_LE(worker.core->instances(), 5u);
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
