// Deliveries that an operator has ended, and workers that are made quiet.
#include <gtest/gtest.h>

#include <algorithm>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using protocol::Outcome;
using protocol::WorkerState;

protocol::Cancel cancel_of(std::uint64_t entry, std::uint32_t token = 0x1001) {
  return {{{"f", {{entry, 0}, 0}, {token}}}};
}

void run_now(Worker& w, InstanceId instance, std::size_t item = 0) {
  const auto& batch = w.effects.batches[instance].front();
  w.effects.now_running[instance] = {batch.number, static_cast<std::uint32_t>(item), w.now.steady};
}

TEST(Cancelled, OneThatWaitsIsDroppedAndReported) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 1});
  w.join();
  w.deliver_entries(1, 2);  // one runs, one waits
  w.receive(cancel_of(2));
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].id.entry.ms, 2u);
  EXPECT_EQ(rows[0].outcome, Outcome::kCancelled);
  EXPECT_TRUE(rows[0].packed_row.empty()) << "it never began";
  EXPECT_TRUE(w.effects.kills.empty());
  EXPECT_EQ(w.core->held(), 1u);
}

TEST(Cancelled, OneThatRunsIsStoppedAndNothingOfItIsCommitted) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  run_now(w, instance);
  w.receive(cancel_of(1));
  ASSERT_EQ(w.effects.kills.size(), 1u);
  EXPECT_EQ(w.effects.kills[0], (std::pair{instance, SIGTERM}));
  w.pass(1s);
  EXPECT_EQ(w.effects.kills.back(), (std::pair{instance, SIGKILL})) << "after the grace";
  w.die(instance, {.code = CLD_KILLED, .status = SIGKILL});
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kCancelled);
  const auto ledger = protocol::unpack_ledger(rows[0].packed_row).value();
  EXPECT_EQ(ledger.at(0).outcome, Outcome::kCancelled);
  EXPECT_TRUE(w.effects.commits.empty());
  EXPECT_EQ(w.effects.reports, std::vector<std::string>{"cancelled"});
}

TEST(Cancelled, ItsNeighboursInTheBatchGoToAnotherInstanceWithoutLosingAnAttempt) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId first = w.effects.forked.at(0);
  w.core->on_instance_started(first, 100, w.now);
  w.finish(first, 1, 10us);  // quick: batches follow
  w.answer_commits();
  w.deliver_entries(2, 9);
  ASSERT_GE(w.unfinished(first), 3u);
  run_now(w, first, 1);  // the second of the batch, though nobody has heard of the first's result
  w.finish(first, 1, 10us);
  w.receive(cancel_of(3));
  ASSERT_FALSE(w.effects.kills.empty());
  w.done_rows();
  w.die(first, {.code = CLD_KILLED, .status = SIGKILL});
  const auto rows = w.done_rows();
  EXPECT_EQ(std::ranges::count(rows, Outcome::kCancelled, &protocol::Done::Row::outcome), 1);
  EXPECT_TRUE(std::ranges::none_of(
      rows, [](const auto& row) { return protocol::counts_against_budget(row.outcome); }));
  ASSERT_EQ(w.effects.forked.size(), 2u);
  const InstanceId second = w.effects.forked.at(1);
  w.core->on_instance_started(second, 101, w.now);
  for (int i = 0; i < 20 && w.unfinished(second) > 0; ++i)
    w.finish(second, w.unfinished(second), 10us);
  w.answer_commits();
  EXPECT_EQ(w.core->counters().attempts_ok, 8u);
  EXPECT_EQ(w.core->counters().attempts_failed, 0u);
}

TEST(Cancelled, OneThatLiesBehindOthersIsStoppedWhenItsTurnComes) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  w.finish(instance, 1, 10us);
  w.deliver_entries(2, 3);
  ASSERT_EQ(w.unfinished(instance), 2u);
  run_now(w, instance, 0);
  w.receive(cancel_of(3));
  EXPECT_TRUE(w.effects.kills.empty()) << "its neighbour runs";
  run_now(w, instance, 1);
  w.finish(instance, 1, 10us);
  ASSERT_EQ(w.effects.kills.size(), 1u);
  EXPECT_EQ(w.effects.kills[0].second, SIGTERM);
}

TEST(Cancelled, AResultThatComesInItsLastSecondIsDropped) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  run_now(w, instance);
  w.receive(cancel_of(1));
  w.finish(instance);
  EXPECT_TRUE(w.effects.commits.empty());
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kCancelled);
  EXPECT_EQ(w.effects.kills.back().second, SIGKILL) << "whatever it began must not run on";
}

TEST(Cancelled, WhatIsNotHereUnderThatTokenMeansNothing) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.receive(cancel_of(1, 0x1002));
  w.receive(cancel_of(7));
  w.receive(protocol::Cancel{{{"nobody", {{1, 0}, 0}, {1}}}});
  EXPECT_TRUE(w.done_rows().empty());
  EXPECT_TRUE(w.effects.kills.empty());
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  w.finish(instance);
  w.receive(cancel_of(1));  // its commit is on its way: Redis decides
  w.answer_commits(store::Verdict::kFenced);
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kOk);
}

TEST(Cancelled, OneOfABatchInOneCallStopsTheCallWhicheverItIs) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 1});
  w.join({Worker::function("f", "[batch]\nsize = 4\n")});
  w.deliver_entries(1, 3);
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  run_now(w, instance, 0);
  w.receive(cancel_of(2));
  ASSERT_EQ(w.effects.kills.size(), 1u);
  w.die(instance, {.code = CLD_KILLED, .status = SIGKILL});
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u) << "the others go to the next instance";
  EXPECT_EQ(rows[0].outcome, Outcome::kCancelled);
  EXPECT_EQ(rows[0].id.entry.ms, 2u);
}

TEST(Quieted, AWorkerHandsBackWhatWaitsFinishesWhatRunsAndStays) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 1});
  w.join();
  w.deliver_entries(1, 2);
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  const auto before = w.credit();
  w.sent<protocol::Heartbeat>();
  w.receive(protocol::Quiet{true});
  EXPECT_EQ(w.core->state(), WorkerState::kQuiet);
  const auto said = w.sent<protocol::Heartbeat>();
  ASSERT_EQ(said.size(), 1u) << "it says so at once";
  EXPECT_EQ(said[0].state, WorkerState::kQuiet);
  auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kDrained);
  w.finish(instance);
  w.answer_commits();
  EXPECT_EQ(w.core->counters().attempts_ok, 1u);
  w.deliver_entries(3, 3);  // was under way
  rows = w.done_rows();
  EXPECT_EQ(std::ranges::count(rows, Outcome::kDrained, &protocol::Done::Row::outcome), 1);
  EXPECT_EQ(w.credit(), before) << "and asks for no more";
  w.pass(5s);
  EXPECT_FALSE(w.core->finished());
  EXPECT_TRUE(w.core->joined());
}

TEST(Quieted, AWorkerTakesWorkAgainWhenItIsResumed) {
  Worker w;
  w.join();
  w.receive(protocol::Quiet{true});
  const auto before = w.credit();
  w.receive(protocol::Quiet{false});
  EXPECT_EQ(w.core->state(), WorkerState::kRunning);
  w.deliver_entries(1, 4);
  EXPECT_FALSE(w.effects.forked.empty());
  EXPECT_GE(w.credit(), before);
}

TEST(Quieted, AWorkerSaysSoInItsHelloAndTerminatingIsForGood) {
  Worker w;
  w.join();
  w.receive(protocol::Quiet{true});
  w.core->on_disconnected(w.now);
  w.core->on_connected(w.now);
  const auto hello = w.sent<protocol::Hello>();
  EXPECT_EQ(hello.back().state, WorkerState::kQuiet);
  w.welcome();
  w.core->begin_drain(w.now);
  EXPECT_EQ(w.core->state(), WorkerState::kTerminating);
  w.receive(protocol::Quiet{false});
  EXPECT_EQ(w.core->state(), WorkerState::kTerminating);
}

TEST(CutOff, AWorkerWorksOnCommitsAndNamesAllItHoldsWhenItComesBack) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 1});
  w.join();
  w.deliver_entries(1, 3);
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  w.core->on_disconnected(w.now);
  w.finish(instance);
  ASSERT_EQ(w.effects.commits.size(), 1u) << "results go to Redis without the broker";
  w.answer_commits();
  ASSERT_EQ(w.unfinished(instance), 1u) << "what waits here is begun";
  w.pass(5s, false);
  w.core->on_connected(w.now);
  const auto hello = w.sent<protocol::Hello>();
  ASSERT_FALSE(hello.empty());
  EXPECT_EQ(hello.back().held.size(), 3u)
      << "two unfinished, and one whose report nobody has heard";
  w.welcome();
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kOk);
}

}  // namespace
}  // namespace fanfare::worker
