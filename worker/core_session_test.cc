// Greeting, credit, reports.
#include <gtest/gtest.h>

#include <algorithm>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using protocol::Outcome;

TEST(WorkerSession, HelloNamesEverythingThatIsHeld) {
  Worker w;
  w.join();
  w.sent<protocol::Hello>();
  w.deliver_entries(1, 4);
  w.finish(w.effects.forked[0]);  // 1: committing
  w.fail(w.effects.forked[1]);    // 2: reported, not acknowledged
  w.receive(protocol::Reset{});
  const auto hello = w.sent<protocol::Hello>();
  ASSERT_EQ(hello.size(), 1u);
  std::vector<std::uint64_t> held;
  for (const auto& one : hello[0].held) {
    EXPECT_EQ(one.function, "f");
    EXPECT_EQ(one.token.value, 0x1001u);
    held.push_back(one.id.entry.ms);
  }
  std::sort(held.begin(), held.end());
  EXPECT_EQ(held, (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

TEST(WorkerSession, DoneIsKeptUntilItIsAcknowledgedAndSentAgainAfterAReconnect) {
  Worker w;
  w.join();
  w.deliver_entries(1, 2);
  w.fail(w.effects.forked[0]);
  w.fail(w.effects.forked[1]);
  auto done = w.sent<protocol::Done>();
  ASSERT_EQ(done.size(), 2u);
  EXPECT_LT(done[0].number, done[1].number);

  w.receive(protocol::HeartbeatAck{.session = w.session, .done_number = done[0].number});
  EXPECT_EQ(w.core->unacknowledged_done(), 1u);
  w.core->on_disconnected(w.now);
  w.join();
  auto again = w.sent<protocol::Done>();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].number, done[1].number);
  EXPECT_EQ(again[0].rows.at(0).id, done[1].rows.at(0).id);

  w.receive(protocol::HeartbeatAck{.session = w.session, .done_number = again[0].number});
  w.core->on_disconnected(w.now);
  w.join();
  EXPECT_TRUE(w.sent<protocol::Done>().empty());
}

TEST(WorkerSession, AnAcknowledgementOfAnotherSessionIsIgnored) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.fail(w.effects.forked[0]);
  w.receive(protocol::HeartbeatAck{.session = w.session + 1, .done_number = 99});
  EXPECT_EQ(w.core->unacknowledged_done(), 1u);
}

TEST(WorkerSession, WhatEndsWithoutABrokerIsCommittedAndReportedLater) {
  Worker w;
  w.join();
  w.deliver_entries(1, 2);
  w.core->on_disconnected(w.now);
  w.finish(w.effects.forked[0]);
  EXPECT_EQ(w.effects.commits.size(), 1u);
  w.answer_commits();
  w.fail(w.effects.forked[1]);
  EXPECT_TRUE(w.done_rows().empty());
  w.sent<protocol::Hello>();
  w.join();
  EXPECT_EQ(w.sent<protocol::Hello>().at(0).held.size(), 2u);
  EXPECT_EQ(w.done_rows().size(), 2u);
}

TEST(WorkerSession, DeliveriesSentBeforeTheBrokerSawOurHelloAreLeftToIt) {
  Worker w;
  w.join();
  w.receive(protocol::Reset{});  // greets anew
  w.deliver_entries(1, 3);       // lent in the old session; the broker lends them again
  EXPECT_EQ(w.core->held(), 0u);
  EXPECT_EQ(w.core->counters().delivered_stale, 1u);
}

TEST(WorkerSession, SaysHelloAgainWhenTheBrokerIsStillStarting) {
  Worker w;
  w.core->on_connected(w.now);
  EXPECT_EQ(w.sent<protocol::Hello>().size(), 1u);
  w.receive(protocol::Refused{.code = protocol::Refusal::kUnavailable, .message = "starting"});
  EXPECT_EQ(w.sent<protocol::Hello>().size(), 0u);
  w.pass(100ms);
  EXPECT_EQ(w.sent<protocol::Hello>().size(), 1u);
}

TEST(WorkerSession, DoubtsASessionWhoseBrokerIsSilent) {
  Worker w;
  w.join();
  w.sent<protocol::Hello>();
  for (int i = 0; i < 7; ++i) w.pass(1s, false);
  EXPECT_EQ(w.sent<protocol::Hello>().size(), 0u);
  w.pass(1s, false);
  EXPECT_EQ(w.sent<protocol::Hello>().size(), 1u);
}

TEST(WorkerSession, HeartbeatsInTheBrokersRhythmAndSaysWhatRuns) {
  Worker w;
  w.join();
  w.deliver_entries(1, 6);
  w.pass(1999ms);
  EXPECT_TRUE(w.sent<protocol::Heartbeat>().empty());
  w.pass(1ms);
  const auto beats = w.sent<protocol::Heartbeat>();
  ASSERT_EQ(beats.size(), 1u);
  EXPECT_EQ(beats[0].session, w.session);
  EXPECT_EQ(beats[0].delivered, 1u);
  ASSERT_EQ(beats[0].rows.size(), 1u);
  EXPECT_EQ(beats[0].rows[0].instances, 4u);
  EXPECT_EQ(beats[0].rows[0].busy, 4u);
  EXPECT_EQ(beats[0].rows[0].queued, 2u);
}

TEST(WorkerCredit, OfAFunctionNobodyKnowsIsOnePerSlot) {
  Worker w;
  w.join({Worker::function("f"), Worker::function("capped", "max_concurrency = 2")});
  EXPECT_EQ(w.credit("f"), 4u);
  EXPECT_EQ(w.credit("capped"), 2u);
}

TEST(WorkerCredit, GrowsDeepForAQuickFunction) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 2us);
  w.answer_commits();
  // 1 ms of 2 µs each for each of four slots.
  EXPECT_EQ(w.credit(), 1u + 2000u);
}

TEST(WorkerCredit, IsNeverAboveItsBound) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 500ns);
  w.answer_commits();
  EXPECT_EQ(w.credit(), 1u + 4096u);
}

TEST(WorkerCredit, IsBoundedByBytesForLargeEvents) {
  Worker w;
  w.join();
  for (std::uint64_t entry = 1; entry <= 40; ++entry) {
    auto large = Worker::delivery(entry);
    large.packed_event.assign(1 << 20, 'x');
    w.deliver({large});
    w.finish(w.effects.forked[0], 1, 2us);
    w.answer_commits();
  }
  EXPECT_LE(w.credit() - 40, 16u) << "about 4 MiB ahead";
}

TEST(WorkerCredit, StaysAtOneEachForALongFunction) {
  Worker w;
  w.join();
  w.deliver_entries(1, 4);
  for (const InstanceId instance : std::vector(w.effects.forked)) w.finish(instance, 1, 500ms);
  w.answer_commits();
  EXPECT_EQ(w.credit(), 4u + 4u);
  w.deliver_entries(5, 8);
  EXPECT_EQ(w.credit(), 8u) << "all four run: nothing may wait behind them";
}

TEST(WorkerCredit, IsGivenBackWhenAFunctionTurnsOutSlow) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 2us);
  w.answer_commits();
  const auto granted = w.credit();
  w.deliver_entries(2, granted);  // all of it is used
  for (int i = 0; i < 10; ++i) {
    for (const auto& [instance, batches] : std::map(w.effects.batches)) {
      if (w.unfinished(instance) > 0) w.finish(instance, 1, 30ms);
    }
  }
  w.answer_commits();
  EXPECT_EQ(w.credit(), granted) << "thousands wait here: no more until they are done";
}

TEST(WorkerCredit, TotalsNeverShrinkAndStartAnewWithEachSession) {
  Worker w;
  w.join();
  w.deliver_entries(1, 4);
  EXPECT_EQ(w.credit(), 4u);
  w.core->on_disconnected(w.now);
  w.totals.clear();
  w.join();
  EXPECT_EQ(w.credit(), 0u) << "four run already, none of this session";
  w.finish(w.effects.forked[0], 1, 500ms);
  EXPECT_EQ(w.credit(), 1u);
}

TEST(WorkerCredit, StopsWhileTooManyResultsWaitForRedis) {
  Worker w({.name = "w1", .slots = 1, .uncommitted_max = 3});
  w.join();
  for (std::uint64_t entry = 1; entry <= 3; ++entry) {
    w.deliver_entries(entry, entry);
    w.finish(w.effects.forked[0], 1, 50ms);
  }
  EXPECT_EQ(w.credit(), 3u);
  w.answer_commits();
  w.answer_commits();
  EXPECT_EQ(w.credit(), 4u);
}

TEST(WorkerCredit, IsBoundedByWhatAHelloCanName) {
  Worker w({.name = "w1", .slots = 4, .held_max = 100});
  std::vector<protocol::FunctionSpec> many;
  for (int i = 0; i < 60; ++i) many.push_back(Worker::function("f" + std::to_string(i)));
  w.join(many);
  std::uint64_t total = 0;
  w.credit("f0");
  for (const auto& [name, credit] : w.totals) {
    total += credit;
    EXPECT_GE(credit, 1u) << name;
  }
  EXPECT_EQ(w.totals.size(), 60u);
  EXPECT_LE(total, 100u);
  EXPECT_GE(total, 90u) << "the last tenth is for functions to come";
}

TEST(WorkerCredit, ThatAFunctionDoesNotUseLeavesTheOthersWhatTheyNeed) {
  Worker w({.name = "w1", .slots = 4, .held_max = 100});
  w.join({Worker::function("f"), Worker::function("g")});
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0], 1, 2us);
  w.answer_commits();  // it would fetch 2,000 ahead, and has no events any more
  ASSERT_EQ(w.credit("g"), 4u);
  w.deliver_entries(11, 14, "g");
  for (int round = 0; round < 3; ++round) {
    for (const InstanceId instance : std::vector(w.effects.forked)) {
      if (w.unfinished(instance) > 0) w.finish(instance, w.unfinished(instance), 2us);
    }
    w.answer_commits();
  }
  w.done_rows();
  w.acknowledge();
  EXPECT_GE(w.credit("g"), 8u) << "four more";
}

TEST(WorkerCredit, OfTooManyFunctionsIsDealtOutInEqualParts) {
  Worker w({.name = "w1", .slots = 8, .held_max = 40});
  std::vector<protocol::FunctionSpec> functions;
  for (int i = 0; i < 10; ++i) functions.push_back(Worker::function("f" + std::to_string(i)));
  w.join(functions);
  w.credit("f0");
  for (int i = 0; i < 10; ++i) EXPECT_GE(w.totals["f" + std::to_string(i)], 2u) << i;
}

TEST(WorkerCredit, IsLeftForFunctionsThatAreDeployedOneAfterTheOther) {
  Worker w({.name = "w1", .slots = 8, .held_max = 40});
  std::vector<protocol::FunctionSpec> functions{Worker::function("f0")};
  w.join(functions);
  for (int i = 1; i < 8; ++i) {
    functions.push_back(Worker::function("f" + std::to_string(i)));
    w.receive(protocol::Functions{functions});
    EXPECT_GE(w.credit("f" + std::to_string(i)), 1u) << i;
  }
}

// As one that has greeted twice might do. Meanwhile nothing is given, as Redis does not answer.
TEST(WorkerCredit, GoesOnAfterABrokerHasLentMoreThanItWasGiven) {
  Worker w({.name = "w1", .slots = 4, .uncommitted_max = 1});
  w.join();
  const std::uint64_t given = w.credit();
  w.deliver_entries(1, given + 3);
  for (int round = 0; round < 4; ++round) {
    for (const InstanceId instance : std::vector(w.effects.forked)) {
      if (w.unfinished(instance) > 0) w.finish(instance, w.unfinished(instance), 50ms);
    }
  }
  for (int round = 0; round < 4; ++round) w.answer_commits();
  w.done_rows();
  w.acknowledge();
  EXPECT_GE(w.credit(), given + 3 + 4);
}

TEST(WorkerDrain, HandsBackWhatWaitsFinishesWhatRunsAndSaysGoodbye) {
  Worker w;
  w.join();
  w.deliver_entries(1, 6);  // four run, two wait
  w.core->begin_drain(w.now);
  w.turn();
  auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 2u);
  for (const auto& row : rows) EXPECT_EQ(row.outcome, Outcome::kDrained);
  w.deliver_entries(7, 7);  // crossed our quiet
  rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kDrained);

  for (const InstanceId instance : std::vector(w.effects.forked)) w.finish(instance);
  w.answer_commits();
  w.answer_commits();
  for (const auto& row : w.done_rows()) EXPECT_EQ(row.outcome, Outcome::kOk);
  EXPECT_FALSE(w.core->finished()) << "the broker has not confirmed the last reports";
  w.acknowledge();
  EXPECT_TRUE(w.core->finished());
  EXPECT_EQ(w.sent<protocol::Bye>().size(), 1u);
}

TEST(WorkerDrain, EndsWhatStillRunsAfterTheGraceAndHandsItBack) {
  Worker w({.name = "w1", .slots = 1, .grace = 5s});
  w.join();
  w.deliver_entries(1, 1);
  w.core->begin_drain(w.now);
  w.pass(4999ms);
  EXPECT_TRUE(w.effects.kills.empty());
  w.pass(1ms);
  ASSERT_EQ(w.effects.kills.size(), 1u);
  w.die(w.effects.forked[0], {.code = CLD_KILLED, .status = SIGTERM});
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kDrained);
  EXPECT_EQ(w.core->counters().attempts_failed, 0u);
}

TEST(WorkerDrain, AtOnceKillsWhatRunsAndStillHandsItBack) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.core->stop_at_once(w.now);
  ASSERT_EQ(w.effects.kills.size(), 1u);
  EXPECT_EQ(w.effects.kills[0].second, SIGKILL);
  w.die(w.effects.forked[0], {.code = CLD_KILLED, .status = SIGKILL});
  EXPECT_EQ(w.done_rows().at(0).outcome, Outcome::kDrained);
  w.acknowledge();
  EXPECT_TRUE(w.core->finished());
}

TEST(WorkerDrain, EndsWithoutABrokerToo) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.core->on_disconnected(w.now);
  w.core->begin_drain(w.now);
  w.fail(w.effects.forked[0]);
  EXPECT_FALSE(w.core->finished());
  w.pass(2s);
  EXPECT_TRUE(w.core->finished());
}

}  // namespace
}  // namespace fanfare::worker
