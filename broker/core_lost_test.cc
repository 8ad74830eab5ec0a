// Workers that vanish, come back, or have no room.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

TEST(LostWorkers, WhatTheyHeldGoesToAnotherWithoutTouchingTheBudget) {
  CoreHarness h;
  h.join(10, "a");
  h.publish(1, {h.event()});
  h.answer_all();
  const auto first = h.delivered("a").at(0);
  h.join(10, "b");
  h.core.on_worker_died(h.core.sessions().begin()->first, h.now);
  h.turn();
  const auto second = h.delivered("b");
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].id, first.id);
  EXPECT_EQ(second[0].attempt, 1u) << "losing a worker is no attempt of the function";
  EXPECT_NE(second[0].token, first.token);
}

TEST(LostWorkers, WhoMayNotBeAWorkerAnyMoreHoldsNothingAtOnce) {
  CoreHarness h;
  h.join(10, "rKEY1-one");
  h.publish(1, {h.event()});
  h.answer_all();
  const auto first = h.delivered("rKEY1-one").at(0);
  h.join(10, "rKEY2-one");
  h.core.on_workers_barred("rKEY1", h.now);
  h.turn();
  EXPECT_EQ(h.delivered("rKEY2-one").at(0).id, first.id);
  EXPECT_EQ(h.core.sessions().size(), 1u);
  h.publish(2, {h.event(), h.event()});
  h.answer_all();
  EXPECT_TRUE(h.delivered("rKEY1-one").empty()) << "its credit is gone, too";
}

TEST(LostWorkers, WithoutTheProtectionsBudgetsBurnAndDeliveriesStrand) {
  CoreOptions burn;
  burn.protections.losses_spare_the_budget = false;
  CoreHarness h(CoreHarness::one(), burn);
  h.join(10, "a");
  h.publish(1, {h.event()});
  h.answer_all();
  h.join(10, "b");
  h.core.on_worker_died(h.core.sessions().begin()->first, h.now);
  h.turn();
  EXPECT_EQ(h.delivered("b").at(0).attempt, 2u);

  CoreOptions strand;
  strand.protections.take_back_from_lost_workers = false;
  CoreHarness s(CoreHarness::one(), strand);
  s.join(10, "a");
  s.publish(1, {s.event()});
  s.answer_all();
  s.join(10, "b");
  s.core.on_worker_died(s.core.sessions().begin()->first, s.now);
  s.turn();
  EXPECT_TRUE(s.delivered("b").empty());
}

TEST(LostWorkers, SilenceForALeaseIsALossAndAHeartbeatIsNot) {
  CoreHarness h;
  h.join(10, "a");
  h.publish(1, {h.event()});
  h.answer_all();
  h.delivered("a");
  h.pass(29s);
  h.feed("a", protocol::Heartbeat{});
  h.pass(29s);
  EXPECT_EQ(h.core.sessions().size(), 1u);
  h.pass(1s);
  EXPECT_EQ(h.core.sessions().size(), 0u);
  EXPECT_EQ(h.core.counters().attempts_worker_lost, 1u);
}

TEST(LostWorkers, ADeliveryWhoseWorkersKeepVanishingIsBuried) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer_all();
  for (int i = 0; i < 5; ++i) {
    h.join(10, "w" + std::to_string(i));
    ASSERT_EQ(h.delivered("w" + std::to_string(i)).size(), 1u);
    h.core.on_worker_died(h.core.sessions().begin()->first, h.now);
    h.turn();
  }
  EXPECT_EQ(h.take_call<store::Bury>().second.items.at(0).reason,
            protocol::DeadReason::kWorkerLosses);
}

void lose(CoreHarness& h) {
  h.core.on_worker_died(h.core.sessions().begin()->first, h.now);
  h.turn();
}

TEST(Throttled, WhatAWorkerHasNoRoomForGoesToAnotherAndUsesUpNothing) {
  CoreHarness h;
  h.join(10, "full");
  h.publish(1, {h.event()});
  h.answer_all();
  auto lent = h.delivered("full");
  ASSERT_EQ(lent.size(), 1u);
  h.join(10, "other");
  auto row = h.ok_row(lent[0]);
  row.outcome = protocol::Outcome::kThrottled;
  row.failure = {.type = "ForkFailed", .message = "no processes left", .retryable = true};
  h.done(row, "full");
  EXPECT_TRUE(h.delivered("full").empty()) << "it rests";
  lent = h.delivered("other");
  ASSERT_EQ(lent.size(), 1u);
  EXPECT_EQ(lent[0].attempt, 1u) << "of the budget";
  const auto ledger = protocol::unpack_ledger(lent[0].packed_ledger).value();
  ASSERT_EQ(ledger.size(), 1u);
  EXPECT_EQ(ledger[0].outcome, protocol::Outcome::kThrottled);
  EXPECT_EQ(ledger[0].error_message, "no processes left");
  EXPECT_EQ(ledger[0].worker, "full");
  EXPECT_EQ(h.core.counters().attempts_throttled, 1u);
}

TEST(LostWorkers, WhatTheyHeldGoesOnAtOnceAfterTheFirstLoss) {
  CoreHarness h;
  h.join(10, "a");
  h.publish(1, std::vector<std::string>(4, h.event()));
  h.answer_all();
  EXPECT_EQ(h.delivered("a").size(), 4u);
  lose(h);
  h.join(10, "b");
  EXPECT_EQ(h.delivered("b").size(), 4u);
}

TEST(LostWorkers, SuspectsGoOutOneAtATimeSoThatInnocentOnesAreNotBuried) {
  CoreHarness h;
  h.join(10, "a");
  h.publish(1, std::vector<std::string>(4, h.event()));
  h.answer_all();
  EXPECT_EQ(h.delivered("a").size(), 4u);
  lose(h);
  h.join(10, "b");
  EXPECT_EQ(h.delivered("b").size(), 4u);
  lose(h);
  h.join(10, "c");
  const auto alone = h.delivered("c");
  ASSERT_EQ(alone.size(), 1u);
  h.done(h.ok_row(alone[0]), "c");
  EXPECT_EQ(h.delivered("c").size(), 1u);
}

TEST(LostWorkers, ASuspectAtOneWorkerDoesNotKeepTheNextOneFromAnother) {
  CoreOptions options;
  options.worker_losses_max = 2;
  CoreHarness h(CoreHarness::one(), options);
  h.join(10, "a");
  h.publish(1, std::vector<std::string>(3, h.event()));
  h.answer_all();
  EXPECT_EQ(h.delivered("a").size(), 3u);
  lose(h);
  h.join(100, "b");
  EXPECT_EQ(h.delivered("b").size(), 1u);
  h.join(10, "c");  // b may be sent more, but has one
  EXPECT_EQ(h.delivered("c").size(), 1u);
  EXPECT_TRUE(h.delivered("b").empty());
}

TEST(LostWorkers, TheLossThatBuriesADeliveryIsItsOwn) {
  CoreOptions options;
  options.worker_losses_max = 2;
  CoreHarness h(CoreHarness::one(), options);
  h.join(10, "a");
  h.publish(1, std::vector<std::string>(2, h.event()));
  h.answer_all();
  EXPECT_EQ(h.delivered("a").size(), 2u);
  lose(h);
  h.join(10, "b");
  EXPECT_EQ(h.delivered("b").size(), 1u);
  lose(h);
  EXPECT_EQ(h.take_call<store::Bury>().second.items.size(), 1u);
}

TEST(Sessions, AReconnectedWorkerKeepsWhatItHoldsAndGivesBackTheRest) {
  CoreHarness h;
  h.join(10, "w");
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 2u);
  // Its connection broke; of the two it had received only the first.
  h.feed("w-again",
         protocol::Hello{.name = "w", .slots = 4, .held = {{"f", lent[0].id, lent[0].token}}});
  h.credit(10, "w-again");
  const auto again = h.delivered("w-again");
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].id, lent[1].id);
  h.done(h.ok_row(lent[0]), "w-again");
  EXPECT_EQ(h.core.counters().deliveries_succeeded, 1u);
}

TEST(Sessions, AStrangerIsAskedToSayHello) {
  CoreHarness h;
  h.credit(5, "stranger");
  EXPECT_EQ(h.take<protocol::Reset>("stranger").size(), 1u);
}

TEST(Sessions, AStaleReportChangesNothing) {
  CoreHarness h;
  h.join(10, "a");
  h.publish(1, {h.event()});
  h.answer_all();
  const auto first = h.delivered("a").at(0);
  h.join(10, "b");
  h.core.on_worker_died(h.core.sessions().begin()->first, h.now);
  h.turn();
  h.delivered("b");
  h.feed("b", protocol::Done{1, {h.failed_row(first)}, {}, {}});
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 0u);
  EXPECT_EQ(h.core.counters().reports_stale, 1u);
}

}  // namespace
}  // namespace fanfare::broker
