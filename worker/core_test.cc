#include "worker/core.h"

#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using protocol::Outcome;

TEST(WorkerCore, RunsCommitsAndReportsADelivery) {
  Worker w;
  w.join();
  EXPECT_EQ(w.sent<protocol::Hello>().at(0).name, "w1");
  w.deliver_entries(5, 5);
  ASSERT_EQ(w.effects.zygotes.size(), 1u);
  ASSERT_EQ(w.effects.forked.size(), 1u);
  const InstanceId instance = w.effects.forked[0];
  EXPECT_EQ(w.unfinished(instance), 1u);

  w.finish(instance);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const store::Commit& call = w.effects.commits[0].second;
  EXPECT_EQ(call.function, "f");
  ASSERT_EQ(call.groups.size(), 1u);
  const auto record = protocol::unpack_result(call.groups[0].items.at(0).record);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->output, "out");
  EXPECT_EQ(protocol::unpack_ledger(record->ledger)->at(0).worker, "w1");
  EXPECT_TRUE(protocol::unpack_ledger(record->ledger)->at(0).cold_start);
  EXPECT_TRUE(w.done_rows().empty()) << "reported before it was committed";

  w.answer_commits();
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kOk);
  EXPECT_EQ(rows[0].id.entry.ms, 5u);
  EXPECT_EQ(w.core->held(), 0u);
}

TEST(WorkerCore, ReportsAFailureWithoutCommittingIt) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.fail(w.effects.forked[0]);
  EXPECT_TRUE(w.effects.commits.empty());
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kFunctionError);
  EXPECT_EQ(rows[0].failure.type, "ValueError");
  EXPECT_EQ(protocol::unpack_ledger(rows[0].packed_row)->at(0).error_message, "no");
}

TEST(WorkerCore, AnswersASynchronousInvocationWithoutRedis) {
  Worker w;
  w.join();
  auto call = Worker::delivery(9);
  call.origin = protocol::Origin::kInvoke;
  w.deliver({call});
  w.finish(w.effects.forked[0]);
  EXPECT_TRUE(w.effects.commits.empty());
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(protocol::unpack_result(rows[0].record)->output, "out");
}

TEST(WorkerCore, ACrashEndsOnlyTheAttemptThatRanAndTheNextOneIsServedAtOnce) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId first = w.effects.forked[0];
  w.finish(first, 1, 10us);  // quick: batches from here on
  w.answer_commits();
  w.done_rows();
  w.deliver_entries(2, 11);
  ASSERT_EQ(w.unfinished(first), 10u);
  w.finish(first, 3, 10us);  // 2, 3, 4
  w.die(first);              // while 5 runs

  w.answer_commits();
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 4u);
  std::size_t crashed = 0;
  for (const auto& row : rows) {
    if (row.outcome == Outcome::kOk) continue;
    ++crashed;
    EXPECT_EQ(row.outcome, Outcome::kCrashed);
    EXPECT_EQ(row.id.entry.ms, 5u);
    EXPECT_EQ(row.failure.type, "SIGSEGV");
    EXPECT_EQ(row.log_tail, "last words");
  }
  EXPECT_EQ(crashed, 1u);
  // 6 to 11 are with another instance in the very same turn, in order.
  ASSERT_EQ(w.effects.forked.size(), 2u);
  const auto& batch = w.effects.batches[w.effects.forked[1]].front();
  EXPECT_EQ(batch.ids.front().entry.ms, 6u);
  EXPECT_EQ(w.core->counters().returned, 6u);
}

TEST(WorkerCore, ResultsThatADeadInstanceHadFinishedCount) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked[0];
  w.finish(instance);
  w.die(instance, {.code = CLD_EXITED, .status = 3});  // idle when it exited
  w.answer_commits();
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kOk);
  EXPECT_EQ(w.core->instances(), 0u);
}

TEST(WorkerCore, WhatKillsEveryInstanceBeforeItBeginsIsAFailureInTheEnd) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  for (int death = 0; death < 5; ++death) {
    ASSERT_EQ(w.effects.forked.size(), static_cast<std::size_t>(death) + 1);
    EXPECT_TRUE(w.done_rows().empty());
    w.die(w.effects.forked.back(), {.code = CLD_KILLED, .status = SIGKILL}, false);
  }
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kCrashed);
  EXPECT_EQ(w.effects.forked.size(), 5u);
}

TEST(WorkerCore, StopsAnAttemptAtItsDeadlineAndKillsItAfterTheGrace) {
  Worker w;
  w.join({Worker::function("f", "timeout = \"2s\"")});
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked[0];
  w.effects.now_running[instance] = {
      w.effects.batches[instance].front().number, 0,
      w.now.steady + 500ms};  // a slow start is not the function's time
  w.pass(2s);
  EXPECT_TRUE(w.effects.kills.empty());
  w.pass(500ms);
  ASSERT_EQ(w.effects.kills.size(), 1u);
  EXPECT_EQ(w.effects.kills[0].second, SIGTERM);
  w.pass(999ms);
  EXPECT_EQ(w.effects.kills.size(), 1u);
  w.pass(1ms);
  ASSERT_EQ(w.effects.kills.size(), 2u);
  EXPECT_EQ(w.effects.kills[1].second, SIGKILL);
  w.die(instance, {.code = CLD_KILLED, .status = SIGKILL});
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kTimeout);
}

TEST(WorkerCore, AnItemThatRunsWhenItsNeighbourIsKilledForTimeIsNotBlamed) {
  Worker w;
  w.join({Worker::function("f", "timeout = \"1s\"")});
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked[0];
  w.finish(instance, 1, 10us);
  w.answer_commits();
  w.done_rows();
  w.deliver_entries(2, 3);
  ASSERT_EQ(w.unfinished(instance), 2u);
  w.effects.now_running[instance] = {w.effects.batches[instance].front().number, 0, w.now.steady};
  w.pass(1s);
  ASSERT_EQ(w.effects.kills.size(), 1u);
  w.finish(instance, 1, 0us);  // 2 comes to an end in its grace; 3 has begun when the kill lands
  EXPECT_EQ(w.effects.kills.back().second, SIGKILL);
  w.die(instance, {.code = CLD_KILLED, .status = SIGKILL});
  w.answer_commits();
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kOk);
  ASSERT_EQ(w.effects.forked.size(), 2u);
  EXPECT_EQ(w.unfinished(w.effects.forked[1]), 1u);
}

TEST(WorkerCore, AFailedInitFailsWhatWaitsAndIsTriedAgainLater) {
  Worker w;
  w.join();
  w.deliver_entries(1, 2);
  w.core->on_zygote_failed(w.effects.zygotes[0].first,
                           {.type = "MissingHandler", .message = "f.so is not there"}, "log",
                           w.now);
  w.turn();
  auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].outcome, Outcome::kInitFailed);
  EXPECT_EQ(rows[0].failure.type, "MissingHandler");
  EXPECT_EQ(w.core->instances(), 0u);

  w.deliver_entries(3, 3);  // within the pause: the same answer, and no new process
  EXPECT_EQ(w.done_rows().size(), 1u);
  EXPECT_EQ(w.effects.zygotes.size(), 1u);
  w.pass(200ms);
  w.deliver_entries(4, 4);
  EXPECT_EQ(w.effects.zygotes.size(), 2u);
  EXPECT_TRUE(w.done_rows().empty());
}

TEST(WorkerCore, AFunctionThatDidNotStartGetsCreditAgainAfterItsPause) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.core->on_zygote_failed(w.effects.zygotes[0].first,
                           {.type = "MissingHandler", .message = "f.so is not there"}, "log",
                           w.now);
  w.turn();
  w.core->on_disconnected(w.now);
  w.join();  // nothing of the former session's credit is left
  EXPECT_EQ(w.credit("f"), 0u);
  w.pass(200ms);
  EXPECT_GT(w.credit("f"), 0u);
}

TEST(WorkerCore, AZygoteThatDoesNotGetReadyInTimeHasFailed) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.pass(10s);
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kInitFailed);
  EXPECT_EQ(rows[0].failure.type, "InitTimeout");
  EXPECT_EQ(w.effects.stopped_zygotes.size(), 1u);
}

TEST(WorkerCore, AZygoteThatDiesIsReplacedAtOnceAndItsInstancesGoOn) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked[0];
  w.core->on_zygote_ready(w.effects.zygotes[0].first, w.now);
  w.core->on_instance_started(instance, 100, w.now);
  w.finish(instance, 1, 50ms);
  w.core->on_zygote_gone(w.effects.zygotes[0].first, w.now);
  w.deliver_entries(2, 3);
  EXPECT_EQ(w.unfinished(instance), 1u) << "the instance is as good as before";
  EXPECT_EQ(w.effects.zygotes.size(), 2u);
  EXPECT_EQ(w.effects.forked.size(), 2u);
}

TEST(WorkerCore, AZygoteThatStopsAnsweringIsReplacedAndItsWorkGoesOn) {
  Worker w({.name = "w1", .slots = 1});
  w.join();
  w.deliver_entries(1, 1);
  w.core->on_zygote_ready(w.effects.zygotes.at(0).first, w.now);
  ASSERT_EQ(w.effects.forked.size(), 1u);
  w.pass(19s);
  EXPECT_TRUE(w.effects.stopped_zygotes.empty());
  w.pass(1s);
  EXPECT_EQ(w.effects.stopped_zygotes.size(), 1u);
  w.pass(1s);
  ASSERT_EQ(w.effects.forked.size(), 2u);
  EXPECT_EQ(w.effects.zygotes.size(), 2u);
  EXPECT_EQ(w.unfinished(w.effects.forked[1]), 1u);
  EXPECT_TRUE(w.done_rows().empty());
}

TEST(WorkerCore, AZygoteThatDiesAgainBeforeAnythingHasRunIsReplacedAfterAPause) {
  Worker w;
  w.join();
  w.deliver_entries(1, 2);
  for (std::size_t i = 0; i < 2; ++i) {
    ASSERT_EQ(w.effects.zygotes.size(), i + 1);
    w.core->on_zygote_ready(w.effects.zygotes[i].first, w.now);
    w.core->on_zygote_gone(w.effects.zygotes[i].first, w.now);
    w.turn();
  }
  EXPECT_EQ(w.effects.zygotes.size(), 2u);
  EXPECT_EQ(w.core->held(), 2u) << "what waited for its instances waits on";
  w.pass(300ms);
  EXPECT_EQ(w.effects.zygotes.size(), 3u);
}

TEST(WorkerCore, ANewGenerationGetsANewZygoteAndOldInstancesFinishAndGo) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  const InstanceId old = w.effects.forked[0];
  w.core->on_instance_started(old, 100, w.now);
  w.effects.now_running[old] = {w.effects.batches[old].front().number, 0, w.now.steady};
  w.receive(protocol::Functions{{Worker::function("f", "", 2)}});
  EXPECT_EQ(w.effects.stopped_zygotes.size(), 1u);
  EXPECT_TRUE(w.effects.kills.empty());
  w.deliver_entries(2, 2);
  EXPECT_EQ(w.effects.zygotes.size(), 2u);
  ASSERT_EQ(w.effects.forked.size(), 2u);
  w.finish(old);
  ASSERT_EQ(w.effects.kills.size(), 1u);
  EXPECT_EQ(w.effects.kills[0], std::pair(old, SIGTERM));
  w.answer_commits();
  EXPECT_EQ(w.done_rows().size(), 1u);
}

TEST(WorkerCore, DeliveriesOfARemovedOrUnknownFunctionAreHandedBack) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1, "nobody");
  auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].outcome, Outcome::kDrained);
  EXPECT_EQ(w.core->counters().delivered_unknown, 1u);
}

TEST(WorkerCore, JunkFromTheBrokerIsCountedAndChangesNothing) {
  Worker w;
  w.join();
  w.core->on_frame("\xc1garbage", w.now);
  w.core->on_frame("", w.now);
  std::string deliver = protocol::encode(protocol::Deliver{"f", {Worker::delivery(1)}});
  w.core->on_frame(deliver.substr(0, deliver.size() - 3), w.now);
  w.core->on_not_one_frame();
  EXPECT_EQ(w.core->counters().frames_malformed, 4u);
  EXPECT_EQ(w.core->held(), 0u);
}

}  // namespace
}  // namespace fanfare::worker
