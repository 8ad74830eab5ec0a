#include "broker/core.h"

#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;
using protocol::Refusal;
using Fate = protocol::PublishRun::Fate;

TEST(Publishing, IsAcknowledgedAfterTheJournalsAnswerAndNotBefore) {
  CoreHarness h;
  h.publish(1, {h.event(), h.event()});
  EXPECT_TRUE(h.answers().empty());
  const auto [ticket, append] = h.take_call<store::Append>();
  ASSERT_EQ(append.streams.size(), 1u);
  EXPECT_EQ(append.streams[0].items.size(), 2u);
  h.answer(ticket, store::Answer{store::Appended{}});
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_EQ(answers[0].runs.size(), 1u) << "neighbours that fared alike share a run";
  EXPECT_EQ(answers[0].runs[0].count, 2u);
  EXPECT_EQ(answers[0].routes[answers[0].runs[0].detail], std::vector<std::string>{"f"});
}

TEST(Publishing, WithoutTheProtectionAcknowledgesTooEarly) {
  CoreOptions options;
  options.protections.acknowledge_after_journal = false;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event()});
  EXPECT_EQ(h.answers().size(), 1u);
}

TEST(Publishing, GroupsWhatArrivesWhileAnAppendIsUnderWay) {
  CoreHarness h;
  h.publish(1, {h.event()}, false, "a");
  h.publish(1, {h.event()}, false, "b");
  h.publish(1, {h.event()}, false, "c");
  ASSERT_EQ(h.waiting_calls<store::Append>(), 1u);
  h.answer(h.take_call<store::Append>().first, store::Answer{store::Appended{}});
  const auto second = h.take_call<store::Append>().second;
  EXPECT_EQ(second.streams[0].items.size(), 2u);
  EXPECT_EQ(second.guards.size(), 2u);
}

TEST(Publishing, SplitsALargeBatchIntoChunksAndAnswersItOnce) {
  CoreHarness h;
  h.publish(1, std::vector<std::string>(600, h.event()));
  EXPECT_TRUE(h.answers().empty());
  h.answer_all();
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(events_answered(answers[0]), 600u);
  EXPECT_EQ(answers[0].runs.size(), 3u);
}

TEST(Publishing, AnUnmatchedEventIsAcceptedCountedAndSaidSo) {
  CoreHarness h;
  h.publish(1, {h.event("nobody.wants.this")});
  h.answer_all();
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].runs[0].fate, Fate::kAccepted);
  EXPECT_TRUE(answers[0].routes[0].empty());
  EXPECT_EQ(h.core.counters().events_unmatched, 1u);
}

TEST(Publishing, ABadEventIsRefusedAloneInItsPlace) {
  CoreHarness h;
  h.publish(1, {h.event(), "\xc1 not an event", h.event()});
  h.answer_all();
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_EQ(answers[0].runs.size(), 3u);
  EXPECT_EQ(answers[0].runs[0].fate, Fate::kAccepted);
  EXPECT_EQ(answers[0].runs[1].fate, Fate::kRefused);
  EXPECT_EQ(answers[0].errors[0].code, Refusal::kMalformed);
  EXPECT_EQ(answers[0].runs[2].fate, Fate::kAccepted);
  EXPECT_EQ(h.core.counters().events_refused_malformed, 1u);
}

TEST(Publishing, DataOverTheLimitIsTooLarge) {
  CoreOptions options;
  options.event_bytes_max = 10;
  CoreHarness h(CoreHarness::Functions{}, options);
  h.publish(1, {h.event("t", std::string(11, 'x'))});
  h.answer_all();
  EXPECT_EQ(h.answers().at(0).errors.at(0).code, Refusal::kTooLarge);
}

TEST(Publishing, AFullIntakeRefusesTheBatchAndKeepsTheRest) {
  CoreOptions options;
  options.intake_bytes_max = 1000;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event("t", std::string(800, 'x'))}, false, "a");
  h.publish(1, {h.event("t", std::string(800, 'x'))}, false, "b");
  const auto refused = h.take<protocol::Refused>("pub-b");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, Refusal::kQueueFull);
  h.answer_all();
  EXPECT_EQ(h.answers("a").size(), 1u);
}

TEST(Publishing, AFullQueueRefusesEventsAloneAndCountsThoseOnTheirWay) {
  CoreOptions options;
  options.queue_max = 3;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event(), h.event()});
  h.publish(1, {h.event(), h.event("nobody.wants.this"), h.event()}, false, "d");
  h.answer_all();
  EXPECT_EQ(h.answers().at(0).runs.at(0).count, 2u);
  const auto answer = h.answers("d").at(0);
  ASSERT_EQ(answer.runs.size(), 3u);
  EXPECT_EQ(answer.runs[0].fate, Fate::kAccepted);
  EXPECT_EQ(answer.runs[1].fate, Fate::kAccepted) << "nobody's queue is full";
  EXPECT_EQ(answer.runs[2].fate, Fate::kRefused);
  EXPECT_EQ(answer.errors.at(0).code, Refusal::kQueueFull);
  EXPECT_EQ(h.core.counters().events_refused_queue_full, 1u);
  // One that ends makes room for one.
  h.join();
  h.done(h.ok_row(h.delivered().at(0)));
  h.publish(2, {h.event(), h.event()});
  h.answer_all();
  EXPECT_EQ(h.core.counters().events_accepted, 5u);
  EXPECT_EQ(h.core.counters().events_refused_queue_full, 2u);
}

TEST(Publishing, WhatRedisRefusesTakesNoPlaceInTheQueue) {
  CoreOptions options;
  options.queue_max = 1;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event()});
  h.answer(h.take_call<store::Append>().first, retry_later("Redis is full"));
  h.publish(2, {h.event()});
  EXPECT_EQ(h.waiting_calls<store::Append>(), 1u);
  h.answer_all();
  EXPECT_EQ(h.core.counters().events_accepted, 1u);
}

TEST(Publishing, WithoutTheProtectionAQueueHasNoBound) {
  CoreOptions options;
  options.queue_max = 1;
  options.protections.bound_queues = false;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  EXPECT_EQ(h.core.counters().events_accepted, 2u);
}

TEST(Publishing, WhatRedisHasNoRoomForIsRefusedAsQueueFull) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer(h.take_call<store::Append>().first, retry_later("Redis is full"));
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].errors.at(0).code, Refusal::kQueueFull);
  h.join();
  EXPECT_TRUE(h.delivered().empty());
}

TEST(Publishing, EntryIdsGrowAlsoWhenTheClockStepsBack) {
  CoreHarness h;
  h.publish(1, {h.event()});
  const auto first = h.take_call<store::Append>();
  h.answer(first.first, store::Answer{store::Appended{}});
  h.now.wall -= 1h;
  h.publish(2, {h.event()});
  EXPECT_GT(h.take_call<store::Append>().second.entry, first.second.entry);
}

TEST(RepeatGuard, ARepeatedBatchGetsTheFirstAnswerAndIsJournaledOnce) {
  CoreHarness h;
  h.publish(7, {h.event()});
  h.publish(7, {h.event()}, /*repeat=*/true);  // still on its way
  EXPECT_EQ(h.waiting_calls<store::Append>(), 1u);
  h.answer_all();
  const auto first = h.answers();
  ASSERT_EQ(first.size(), 1u);
  h.publish(7, {h.event()}, /*repeat=*/true);  // the answer was lost
  const auto again = h.answers();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].runs[0].first, first[0].runs[0].first);
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u);
}

TEST(RepeatGuard, AnotherBrokersBatchIsRecalledFromRedisAndOnlyTheRestIsJournaled) {
  CoreHarness h;
  h.publish(3, {h.event(), h.event(), h.event()}, /*repeat=*/true);
  const auto [ticket, recall] = h.take_call<store::Recall>();
  EXPECT_EQ(recall.sequence, 3u);
  protocol::Published part;
  add_accepted(part, {{5, 0}, 0}, {"f"});
  add_accepted(part, {{5, 0}, 1}, {"f"});
  h.answer(ticket, store::Answer{store::Recalled{pack_guard_part(part, 0)}});
  const auto [append_ticket, append] = h.take_call<store::Append>();
  EXPECT_EQ(append.streams[0].items.size(), 1u);
  h.answer(append_ticket, store::Answer{store::Appended{}});
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(events_answered(answers[0]), 3u);
  EXPECT_EQ(answers[0].runs[0].first, (protocol::EventId{{5, 0}, 0}));
}

// Redis is full for a moment: of one batch the first chunk is refused and the second one taken.
// Whoever is asked again, by the answer that was lost with the first broker, says the same.
TEST(RepeatGuard, RemembersWhichEventsWereRefusedBetweenThoseThatWereTaken) {
  const std::vector<std::string> events(520, CoreHarness::event());
  std::string kept;
  std::vector<protocol::Published> first;
  {
    CoreHarness h;
    h.publish(3, events);
    const auto refused = h.take_call<store::Append>();
    const auto taken = h.take_call<store::Append>();
    h.answer(refused.first, retry_later("OOM"));
    h.answer(taken.first, store::Answer{store::Appended{}});
    kept = taken.second.guards.at(0).packed_runs;
    h.answer(h.take_call<store::Append>().first, retry_later("OOM"));
    first = h.answers();
  }
  CoreHarness h;
  h.publish(3, events, /*repeat=*/true);
  h.answer(h.take_call<store::Recall>().first, store::Answer{store::Recalled{kept}});
  h.answer(h.take_call<store::Append>().first, retry_later("OOM"));
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  ASSERT_EQ(answers[0].runs.size(), 3u);
  EXPECT_EQ(answers[0].runs[0].fate, Fate::kRefused);
  EXPECT_EQ(answers[0].runs[0].count, 256u);
  EXPECT_EQ(answers[0].runs[1], first.at(0).runs.at(1));
  EXPECT_EQ(answers[0].runs[2].count, 8u);
}

TEST(RepeatGuard, ABatchThatWasRefusedForGoodIsNotTakenByARepeatUnderWay) {
  CoreOptions options;
  options.intake_bytes_max = 1000;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event("t", std::string(800, 'x'))}, false, "a");
  h.publish(1, {h.event("t", std::string(800, 'x'))}, true, "b");
  h.publish(1, {h.event("t", std::string(800, 'x'))}, true, "b");
  const auto one = h.take_call<store::Recall>();
  const auto two = h.take_call<store::Recall>();
  h.answer(one.first, store::Answer{store::Recalled{}});
  EXPECT_EQ(h.take<protocol::Refused>("pub-b").at(0).code, Refusal::kQueueFull);
  h.answer_all();  // there is room again
  h.answer(two.first, store::Answer{store::Recalled{}});
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u);
  EXPECT_EQ(h.answers("b").at(0).errors.at(0).code, Refusal::kQueueFull);
}

TEST(RepeatGuard, ABatchOfWhichSomeIsJournaledIsNotRefusedForGoodWhenTheIntakeIsFull) {
  CoreOptions options;
  options.intake_bytes_max = 1000;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event("t", std::string(800, 'x'))}, false, "a");
  h.publish(3, std::vector<std::string>(2, h.event("t", std::string(300, 'x'))), true, "b");
  protocol::Published part;
  add_accepted(part, {{5, 0}, 0}, {"f"});
  h.answer(h.take_call<store::Recall>().first,
           store::Answer{store::Recalled{pack_guard_part(part, 0)}});
  EXPECT_EQ(h.take<protocol::Refused>("pub-b").at(0).code, Refusal::kUnavailable);
}

// Two repeats are under way when the first one's answer comes, and the publisher goes on. Redis is
// asked for the second one again, after a lost reply, when the guard holds the next batch already.
TEST(RepeatGuard, ARepeatWhosePublisherHasGoneOnIsDropped) {
  CoreHarness h;
  h.publish(3, {h.event()}, /*repeat=*/true);
  h.publish(3, {h.event()}, /*repeat=*/true);
  const auto one = h.take_call<store::Recall>();
  const auto two = h.take_call<store::Recall>();
  protocol::Published part;
  add_accepted(part, {{5, 0}, 0}, {"f"});
  h.answer(one.first, store::Answer{store::Recalled{pack_guard_part(part, 0)}});
  EXPECT_EQ(h.answers().size(), 1u);
  h.publish(4, {h.event()});
  h.answer_all();
  h.answer(two.first, store::Answer{store::Recalled{}});
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u);
  EXPECT_EQ(h.core.counters().repeats_stale, 1u);
}

TEST(RepeatGuard, ThatRedisCannotReadNowRefusesTheBatchAndIsCounted) {
  CoreHarness h;
  h.publish(3, {h.event(), h.event()}, /*repeat=*/true);
  h.answer(h.take_call<store::Recall>().first, retry_later("LOADING"));
  EXPECT_EQ(h.take<protocol::Refused>("pub-c").at(0).code, Refusal::kUnavailable);
  EXPECT_EQ(h.core.counters().events_refused_unavailable, 2u);
}

TEST(RepeatGuard, WithoutTheProtectionARepeatIsJournaledTwice) {
  CoreOptions options;
  options.protections.repeat_guard = false;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(7, {h.event()});
  h.answer_all();
  h.publish(7, {h.event()}, /*repeat=*/true);
  EXPECT_EQ(h.waiting_calls<store::Append>(), 1u);
}

TEST(Dispatch, SendsNoMoreThanTheWorkersCredit) {
  CoreHarness h;
  h.join(3);
  h.publish(1, std::vector<std::string>(5, h.event()));
  h.answer_all();
  EXPECT_EQ(h.delivered().size(), 3u);
  h.credit(4);
  EXPECT_EQ(h.delivered().size(), 1u);
  h.credit(4);
  EXPECT_TRUE(h.delivered().empty()) << "credit is a total: repeating it gives nothing";
}

TEST(Dispatch, PrefersTheWorkerWithAWarmInstance) {
  CoreHarness h;
  h.join(10, "cold");
  h.hello("warm");
  h.credit(1, "warm", "f", /*warm=*/true);
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  EXPECT_EQ(h.delivered("warm").size(), 1u);
  EXPECT_EQ(h.delivered("cold").size(), 1u);
}

TEST(Dispatch, KeepsMaxConcurrencyAcrossWorkers) {
  CoreHarness h(CoreHarness::Functions{
      {"f", "max_concurrency = 2\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}});
  h.join(10, "a");
  h.join(10, "b");
  h.publish(1, std::vector<std::string>(5, h.event()));
  h.answer_all();
  auto running = h.delivered("a");
  for (auto& more : h.delivered("b")) running.push_back(more);
  EXPECT_EQ(running.size(), 2u);
}

TEST(Dispatch, AnExpiredEventIsBuriedAndNotRun) {
  CoreHarness h;
  protocol::PublishOptions options;
  options.max_age = 1000;
  h.publish(1, {h.event(options)});
  h.answer_all();
  h.pass(2s);
  h.join();
  EXPECT_TRUE(h.delivered().empty());
  const auto bury = h.take_call<store::Bury>().second;
  EXPECT_EQ(bury.items.at(0).reason, protocol::DeadReason::kExpired);
}

TEST(Dispatch, AnEventWhoseTimeLiesAheadWaitsInLater) {
  CoreHarness h;
  h.join();
  protocol::PublishOptions options;
  options.delay = 60'000;
  h.publish(1, {h.event(options)});
  const auto [ticket, append] = h.take_call<store::Append>();
  EXPECT_TRUE(append.streams.empty());
  EXPECT_EQ(append.delayed.at(0).items.at(0).due_ms, to_ms(h.now.wall) + 60'001);
  h.answer(ticket, store::Answer{store::Appended{}});
  EXPECT_TRUE(h.delivered().empty());
  h.pass(59s);
  EXPECT_EQ(h.waiting_calls<store::Due>(), 0u) << "none early";
  h.pass(2s);
  EXPECT_EQ(h.waiting_calls<store::Due>(), 1u);
}

TEST(Failures, AreRetriedThroughLaterAndKeepTheLedger) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  const auto first = h.delivered().at(0);
  h.done(h.failed_row(first));
  const auto [ticket, postpone] = h.take_call<store::Postpone>();
  EXPECT_EQ(postpone.items.at(0).attempts, 1u);
  h.answer(ticket, store::Answer{store::Moved{{store::Verdict::kOk}}});
  h.pass(2s);
  const auto [due_ticket, due] = h.take_call<store::Due>();
  store::DueRows rows;
  rows.rows.push_back({first.id, postpone.items[0].due_ms, 1, postpone.items[0].accepted_ms,
                       postpone.items[0].packed_ledger, first.packed_event});
  h.answer(due_ticket, store::Answer{rows});
  const auto second = h.delivered();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].attempt, 2u);
  EXPECT_EQ(second[0].origin, protocol::Origin::kLater);
  EXPECT_EQ(protocol::unpack_ledger(second[0].packed_ledger)->size(), 1u);
}

TEST(Failures, ThatAreFinalGoToTheDeadLettersWithTheirReason) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  h.done(h.failed_row(h.delivered().at(0), Outcome::kFunctionError, /*retryable=*/false));
  const auto bury = h.take_call<store::Bury>().second;
  EXPECT_EQ(bury.items.at(0).reason, protocol::DeadReason::kNotRetryable);
  const auto record = protocol::unpack_result(bury.items[0].record);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->error_type, "TestError");
  EXPECT_EQ(record->status, protocol::Status::kFailed);
}

TEST(Failures, ACallThatRedisCannotTakeNowIsMadeAgain) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  h.done(h.failed_row(h.delivered().at(0)));
  h.answer(h.take_call<store::Postpone>().first, retry_later("Redis is loading"));
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 0u);
  h.pass(2s);
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 1u);
}

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

TEST(Invocations, ReachAWorkerAndTheAnswerReachesTheCaller) {
  CoreHarness h;
  h.join();
  h.feed("caller", protocol::Invoke{9, "f", 1000, h.event()});
  const auto delivery = h.delivered().at(0);
  EXPECT_EQ(delivery.origin, protocol::Origin::kInvoke);
  auto row = h.ok_row(delivery);
  row.record = "packed";
  h.done(row);
  const auto answers = h.take<protocol::Invoked>("caller");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].record, "packed");
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u) << "nothing is journaled";
}

TEST(Invocations, HoldOnlySoManyBytes) {
  CoreOptions options;
  options.invocation_bytes_max = 1000;
  CoreHarness h(CoreHarness::one(), options);
  const auto refusals = [&] {
    std::size_t full = 0;
    for (const auto& refused : h.take<protocol::Refused>("caller")) {
      full += refused.code == protocol::Refusal::kQueueFull ? 1u : 0u;
    }
    return full;
  };
  const std::string large = h.event("t", std::string(800, 'x'));
  h.feed("caller", protocol::Invoke{1, "f", 1000, large});
  h.feed("caller", protocol::Invoke{2, "f", 1000, large});
  EXPECT_EQ(refusals(), 1u);
  h.join();
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 1u);
  h.feed("caller", protocol::Invoke{3, "f", 1000, large});
  EXPECT_EQ(refusals(), 1u) << "what runs counts, too";
  h.done(h.ok_row(lent[0]));
  h.feed("caller", protocol::Invoke{4, "f", 1000, large});
  EXPECT_EQ(refusals(), 0u);
  const auto next = h.delivered();
  ASSERT_EQ(next.size(), 1u);
  h.core.on_worker_died(SessionId{1}, h.now);  // its caller is told
  h.turn();
  h.feed("caller", protocol::Invoke{5, "f", 1000, large});
  h.pass(2s);  // it times out, waiting
  h.feed("caller", protocol::Invoke{6, "f", 1000, large});
  EXPECT_EQ(refusals(), 0u);
  EXPECT_EQ(h.core.counters().invocations_refused, 2u);
}

TEST(Invocations, OfAnUnknownFunctionAreRefused) {
  CoreHarness h;
  h.feed("caller", protocol::Invoke{9, "nobody", 1000, h.event()});
  EXPECT_EQ(h.take<protocol::Refused>("caller").at(0).code, Refusal::kNoSuchFunction);
}

TEST(Invocations, EndWhenTheCallersTimeIsUp) {
  CoreHarness h;
  h.feed("caller", protocol::Invoke{9, "f", 1000, h.event()});
  h.pass(1001ms);
  EXPECT_EQ(h.take<protocol::Refused>("caller").at(0).code, Refusal::kTimeout);
  h.join();
  EXPECT_TRUE(h.delivered().empty());
}

TEST(Invocations, EndWhenTheCallersTimeIsUpAlsoWhileTheFunctionRuns) {
  CoreHarness h;
  h.join();
  h.feed("caller", protocol::Invoke{9, "f", 1000, h.event()});
  const auto delivery = h.delivered().at(0);
  h.pass(900ms);
  EXPECT_TRUE(h.take<protocol::Refused>("caller").empty());
  h.pass(101ms);
  const auto refused = h.take<protocol::Refused>("caller");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, Refusal::kTimeout);
  h.done(h.ok_row(delivery));
  EXPECT_TRUE(h.take<protocol::Invoked>("caller").empty()) << "too late";
}

// An Await that was under way when its delivery ended; something else lies in `later`, so that the
// broker cannot be sure to hold nothing.
TEST(Waiting, ForWhatHasJustEndedIsAnsweredAtOnce) {
  CoreHarness h;
  h.join();
  protocol::PublishOptions tomorrow;
  tomorrow.delay = 86'400'000;
  h.publish(1, {h.event(tomorrow)});
  h.answer_all();
  h.publish(2, {h.event()});
  h.answer_all();
  const auto delivery = h.delivered().at(0);
  h.done(h.ok_row(delivery));
  h.feed("caller", protocol::Await{4, delivery.id, "f", 1000});
  const auto awaited = h.take<protocol::Awaited>("caller");
  ASSERT_EQ(awaited.size(), 1u);
  EXPECT_EQ(awaited[0].ended, std::vector<std::string>{"f"});
  h.feed("caller", protocol::Await{5, delivery.id, "other", 1000});
  EXPECT_TRUE(h.take<protocol::Awaited>("caller").at(0).ended.empty());
  h.feed("caller", protocol::Await{6, delivery.id, "", 1000});
  EXPECT_TRUE(h.take<protocol::Awaited>("caller").empty()) << "which of them it knows is unknown";
}

TEST(Expiry, OfADelayedEventIsLookedAtWhenItComesAndNotWhenTheDelayIsOver) {
  CoreHarness h;
  protocol::PublishOptions options;
  options.delay = 3'600'000;
  options.max_age = 1000;
  h.publish(1, {h.event(options)});
  EXPECT_EQ(h.take_call<store::Append>().second.delayed.at(0).items.at(0).due_ms,
            to_ms(h.now.wall) + 1000);
}

TEST(Expiry, AfterAFailureSaysWhatHadFailed) {
  CoreHarness h;
  h.join();
  protocol::PublishOptions options;
  options.max_age = 1000;
  h.publish(1, {h.event(options)});
  h.answer_all();
  auto row = h.failed_row(h.delivered().at(0));
  row.packed_row.clear();
  protocol::append_row(row.packed_row, {.number = 1,
                                        .outcome = Outcome::kFunctionError,
                                        .error_type = "ValueError",
                                        .error_message = "boom"});
  row.failure.retry_after_ms = 60'000;
  h.done(row);
  const auto [ticket, postpone] = h.take_call<store::Postpone>();
  const auto& item = postpone.items.at(0);
  EXPECT_EQ(item.due_ms, to_ms(h.now.wall) + 1000) << "not after its expiry";
  h.answer(ticket, store::Answer{store::Moved{{store::Verdict::kOk}}});
  h.pass(1001ms);
  store::DueRows::Row due;
  due.id = item.id;
  due.due_ms = item.due_ms;
  due.attempts = item.attempts;
  due.accepted_ms = item.accepted_ms;
  due.packed_event = item.packed_event;
  due.packed_ledger = item.packed_ledger;
  due.token = item.token;
  h.answer(h.take_call<store::Due>().first, store::Answer{store::DueRows{{due}, std::nullopt}});
  const auto bury = h.take_call<store::Bury>().second;
  const auto record = protocol::unpack_result(bury.items.at(0).record);
  EXPECT_EQ(record->error_message,
            "not done before its expiry; attempt 1 failed with ValueError: boom");
}

TEST(Admin, RefusesAFunctionAsItsOwnDestinationAndNamesThoseThatAreMissing) {
  CoreHarness h;
  const auto deploy = [&](const std::string& toml) {
    h.feed("admin", protocol::Admin{7, "deploy",
                                    "{\"name\":\"g\",\"manifest\":\"" + toml + "\",\"digest\":\"" +
                                        std::string(64, 'a') + "\"}"});
  };
  deploy("on_success = \\\"g\\\"");
  const auto refused = h.take<protocol::Refused>("admin").at(0);
  EXPECT_EQ(refused.code, Refusal::kInvalid);
  EXPECT_NE(refused.message.find("its own destination"), std::string::npos) << refused.message;
  deploy("on_success = \\\"f\\\"\\non_failure = \\\"later\\\"");
  h.answer(h.take_call<store::Deploy>().first, store::Answer{store::Deployed{2}});
  const auto reply = h.take<protocol::AdminReply>("admin").at(0);
  EXPECT_NE(reply.data.find("\"missing_destinations\":[\"later\"]"), std::string::npos)
      << reply.data;
}

TEST(Admin, SaysThatTheNameIsMissing) {
  CoreHarness h;
  h.feed("admin", protocol::Admin{7, "describe", "{\"function\":\"f\"}"});
  EXPECT_NE(h.take<protocol::Refused>("admin").at(0).message.find("name"), std::string::npos);
}

TEST(Waiting, IsAnsweredWhenTheDeliveryEnds) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  const auto delivery = h.delivered().at(0);
  h.feed("caller", protocol::Await{4, delivery.id, "", 1000});
  EXPECT_TRUE(h.take<protocol::Awaited>("caller").empty());
  h.done(h.ok_row(delivery));
  EXPECT_EQ(h.take<protocol::Awaited>("caller").at(0).ended, std::vector<std::string>{"f"});
}

TEST(Waiting, ForWhatTheBrokerDoesNotHoldIsAnsweredAtOnce) {
  CoreHarness h;
  h.feed("caller", protocol::Await{4, {{1, 1}, 1}, "", 1000});
  EXPECT_EQ(h.take<protocol::Awaited>("caller").size(), 1u);
}

TEST(MemoryClass, AcknowledgesWithoutAJournalAndDeliversAtOnce) {
  CoreOptions options;
  options.durability = Durability::kMemory;
  CoreHarness h(CoreHarness::one(), options);
  h.join();
  h.publish(1, {h.event()});
  EXPECT_EQ(h.answers().size(), 1u);
  EXPECT_EQ(h.delivered().at(0).origin, protocol::Origin::kMemory);
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u);
}

TEST(BadInput, GarbageIsAnsweredWithAnErrorAndCounted) {
  CoreHarness h;
  for (const std::string junk : {"", "\xdd\xff\xff\xff\xff", "hello", "\x93\x01\x63\x00"}) {
    h.feed_frame("junk", junk);
  }
  EXPECT_GE(h.core.counters().frames_malformed, 4u);
  EXPECT_EQ(h.take<protocol::Refused>("junk").size(), 4u);
}

TEST(BadInput, WhatIsNotOneFrameIsAnsweredAndCountedToo) {
  CoreHarness h;
  h.core.on_not_one_frame("junk");
  h.turn();
  EXPECT_EQ(h.take<protocol::Refused>("junk").at(0).code, Refusal::kMalformed);
  EXPECT_EQ(h.core.counters().frames_malformed, 1u);
}

TEST(BadInput, WithoutTheProtectionGarbageIsDroppedInSilence) {
  CoreOptions options;
  options.protections.answer_garbage = false;
  CoreHarness h(CoreHarness::one(), options);
  h.feed_frame("junk", "hello");
  EXPECT_EQ(h.core.counters().frames_malformed, 0u);
  EXPECT_TRUE(h.take<protocol::Refused>("junk").empty());
}

TEST(BadInput, FromAWorkerCostsItNothingThatItHolds) {
  CoreHarness h;
  h.join(1);
  h.publish(1, {h.event()});
  h.answer_all();
  const auto delivery = h.delivered().at(0);
  h.feed_frame("w", "hello");
  EXPECT_EQ(h.take<protocol::Refused>("w").size(), 1u);
  h.done(h.ok_row(delivery));
  EXPECT_EQ(h.core.counters().deliveries_succeeded, 1u);
}

TEST(BadInput, AnotherVersionIsRefusedForItsVersion) {
  CoreHarness h;
  std::string publish = protocol::encode(protocol::Publish{.client = std::string(32, 'a'),
                                                           .sequence = 5,
                                                           .repeat = false,
                                                           .packed_events = {h.event()}});
  std::string admin =
      protocol::encode(protocol::Admin{.request = 6, .verb = "status", .data = "{}"});
  for (std::string* frame : {&publish, &admin}) {
    (*frame)[1] = 9;
    h.feed_frame("newer", *frame);
  }
  const auto refused = h.take<protocol::Refused>("newer");
  ASSERT_EQ(refused.size(), 2u);
  for (const auto& refusal : refused) EXPECT_EQ(refusal.code, Refusal::kVersion) << refusal.message;
  EXPECT_EQ(h.core.counters().frames_wrong_version, 2u);
  EXPECT_EQ(h.core.counters().frames_malformed, 0u);
}

TEST(Epoch, AFencedBrokerEnds) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer(h.take_call<store::Append>().first, stale("another broker acts"));
  EXPECT_TRUE(h.core.ended());
}

TEST(Admin, DeploysAFunctionAndTellsTheWorkers) {
  CoreHarness h(CoreHarness::Functions{});
  h.hello();
  h.feed("ops", protocol::Admin{
                    1, "deploy",
                    R"({"name":"g","manifest":"[[on]]\npattern='{\"type\":[\"u\"]}'","digest":")" +
                        std::string(64, 'a') + R"("})"});
  h.answer_all();
  EXPECT_EQ(h.take<protocol::AdminReply>("ops").size(), 1u);
  EXPECT_EQ(h.take<protocol::Functions>("w").at(0).functions.at(0).name, "g");
  h.publish(1, {h.event("u")});
  h.answer_all();
  EXPECT_EQ(h.answers().at(0).routes.at(0), std::vector<std::string>{"g"});
}

TEST(Admin, RefusesAManifestThatCannotWorkWithTheReason) {
  CoreHarness h(CoreHarness::Functions{});
  h.feed("ops",
         protocol::Admin{1, "deploy", R"({"name":"g","manifest":"tiemout = 3","digest":""})"});
  const auto refused = h.take<protocol::Refused>("ops").at(0);
  EXPECT_NE(refused.message.find("timeout"), std::string::npos) << refused.message;
  EXPECT_EQ(h.core.counters().admin_refused, 1u);
}

TEST(Starting, RefusesWhoeverComesAndCountsIt) {
  CoreHarness h;
  Core starting({}, h.now);
  const auto feed = [&](const protocol::Message& message) {
    starting.on_frame("peer", protocol::encode(message), h.now);
  };
  feed(
      protocol::Hello{.name = "w", .host = "", .pid = 1, .pid_started = 0, .slots = 4, .held = {}});
  feed(protocol::Admin{1, "status", "{}"});
  feed(protocol::Invoke{2, "f", 1000, h.event()});
  feed(protocol::Publish{"c", 1, false, {h.event(), h.event()}});
  EXPECT_EQ(starting.take_frames().size(), 4u);
  EXPECT_EQ(starting.counters().hellos_refused, 1u);
  EXPECT_EQ(starting.counters().admin_refused, 1u);
  EXPECT_EQ(starting.counters().invocations_refused, 1u);
  EXPECT_EQ(starting.counters().events_refused_unavailable, 2u);
}

// Else a broker that is started again and again would admit queue_max events each time.
TEST(Starting, TakesNoEventsBeforeItKnowsHowFullTheQueuesAre) {
  CoreHarness h;  // for its clock and events
  CoreOptions options;
  options.queue_max = 2;
  Core starting(options, h.now);
  const auto answer_next = [&](auto make) {
    for (auto& call : starting.take_calls()) {
      starting.on_answer(call.ticket, make(call.call), h.now);
    }
    starting.flush(h.now);
  };
  const auto publish = [&](std::uint64_t sequence) {
    starting.on_frame("c", protocol::encode(protocol::Publish{"c", sequence, false, {h.event()}}),
                      h.now);
  };
  answer_next([](const store::Call&) { return store::Answer{store::Begun{1, {}}}; });
  answer_next([](const store::Call& call) {
    if (std::holds_alternative<store::ListWorkers>(call)) return store::Answer{store::WorkerList{}};
    const auto functions = CoreHarness::one();
    const auto& [name, toml] = *functions.begin();
    return store::Answer{store::FunctionList{{{name, toml, std::string(64, 'd'), 1, false}}}};
  });
  publish(1);
  EXPECT_FALSE(starting.accepting());
  EXPECT_EQ(starting.counters().events_refused_unavailable, 1u);

  answer_next([](const store::Call&) {
    store::Surveyed surveyed;
    surveyed.counts.accepted = surveyed.counts.open = 2;
    return store::Answer{surveyed};
  });
  publish(2);
  EXPECT_TRUE(starting.accepting());
  EXPECT_EQ(starting.counters().events_refused_queue_full, 1u);
}

TEST(Counting, WithoutTheProtectionRefusedEventsAreNotCounted) {
  CoreOptions options;
  options.queue_max = 0;
  options.protections.count_refusals = false;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event()});
  h.answer_all();
  EXPECT_EQ(h.answers().at(0).errors.at(0).code, Refusal::kQueueFull);
  EXPECT_EQ(h.core.counters().events_refused_queue_full, 0u);
}

}  // namespace
}  // namespace fanfare::broker
