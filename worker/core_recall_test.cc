// What waits in an instance behind a delivery that takes long.
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

// A function that has been quick, and an instance at the first of forty deliveries.
struct Stuck : Worker {
  explicit Stuck(std::uint32_t slots = 4)
      : Worker({.name = "w1", .host = "boot", .pid = 7, .slots = slots, .forks_at_once = slots}) {
    join();
    deliver_entries(1, 1);
    finish(first(), 1, 10us);
    deliver_entries(2, 41);
    run(first());
  }
  InstanceId first() const { return effects.forked.at(0); }
  void run(InstanceId id) {
    effects.now_running[id] = {effects.batches[id].front().number, 0, now.steady};
  }
  std::size_t given(InstanceId id) {
    std::size_t items = 0;
    for (const auto& batch : effects.batches[id]) items += batch.ids.size();
    return items;
  }
};

TEST(Recall, WhatWaitsBehindALongOneGoesToAnotherInstance) {
  Stuck w;
  ASSERT_EQ(w.given(w.first()), 40u);
  w.pass(19ms);
  EXPECT_EQ(w.given(w.first()), 40u);
  w.pass(2ms);
  EXPECT_EQ(w.given(w.first()), 1u);
  ASSERT_EQ(w.effects.forked.size(), 2u);
  const InstanceId second = w.effects.forked[1];
  EXPECT_EQ(w.given(second), 39u);
  EXPECT_EQ(w.effects.batches[second].front().ids.front().entry.ms,
            w.effects.batches[w.first()].front().ids.front().entry.ms + 1)
      << "in the order in which they came";
  EXPECT_EQ(w.core->counters().recalled, 39u);

  w.effects.now_running.clear();
  w.finish(second, 39, 10us);
  w.finish(w.first(), 1, 30ms);
  EXPECT_EQ(w.core->counters().attempts_ok, 41u);
}

TEST(Recall, AnInstanceGetsNothingMoreUntilTheLongOneIsDone) {
  Stuck w(1);
  w.pass(21ms);
  EXPECT_EQ(w.given(w.first()), 1u) << "though there is no other one";
  w.pass(1s);
  EXPECT_EQ(w.given(w.first()), 1u);
  w.effects.now_running.clear();
  w.finish(w.first(), 1, 1s);
  EXPECT_EQ(w.given(w.first()), 1u) << "one at a time: it is no longer quick";
}

TEST(Recall, WhatMovesOnIsLeftWhereItIs) {
  Stuck w;
  for (std::size_t item = 1; item < 40; ++item) {
    w.effects.now_running[w.first()] = {w.effects.batches[w.first()].front().number,
                                        static_cast<std::uint32_t>(item), w.now.steady};
    w.pass(15ms);
  }
  EXPECT_EQ(w.given(w.first()), 40u);
}

TEST(Recall, OneThatWasCancelledIsNotRunElsewhere) {
  Stuck w;
  const auto waiting = w.effects.batches[w.first()].front().ids.back();
  w.receive(protocol::Cancel{{{"f", waiting, {0x1001}}}});
  w.pass(21ms);
  EXPECT_EQ(w.given(w.first()), 1u);
  EXPECT_EQ(w.given(w.effects.forked.at(1)), 38u);
  EXPECT_EQ(w.core->counters().attempts_cancelled, 1u);
}

}  // namespace
}  // namespace fanfare::worker
