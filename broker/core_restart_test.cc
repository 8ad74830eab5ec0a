// What a broker must get right about attempts it did not lend itself, or has lost sight of: reports
// that arrive twice, workers that come back or come anew, rows of `later` read beside changes to
// them.
#include <gtest/gtest.h>
#include <malloc.h>

#include <ctime>
#include <limits>

#include "broker/core.h"
#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;

store::DueRows::Row row_of(const protocol::Delivery& delivery, std::int64_t due_ms) {
  store::DueRows::Row row;
  row.id = delivery.id;
  row.due_ms = due_ms;
  row.attempts = delivery.attempt;
  row.accepted_ms = delivery.accepted_ms;
  row.packed_event = delivery.packed_event;
  row.token = delivery.token;
  return row;
}

store::Answer rows(std::vector<store::DueRows::Row> all) {
  return store::DueRows{std::move(all), std::nullopt};
}

store::Answer moved() {
  return store::Moved{{store::Verdict::kOk}};
}

protocol::Hello hello_of(std::int32_t pid) {
  return {.name = "w", .host = "h", .pid = pid, .pid_started = 7, .slots = 4, .held = {}};
}

// Publishes one event, lets worker w fail it, and answers the postponement.
protocol::Delivery fail_one(CoreHarness& h) {
  h.publish(1, {h.event()});
  h.answer_all();
  const auto delivered = h.delivered();
  EXPECT_EQ(delivered.size(), 1u);
  h.done(h.failed_row(delivered.at(0)));
  h.answer(h.take_call<store::Postpone>().first, moved());
  return delivered.at(0);
}

TEST(Later, ARetryIsLentUnderATokenOfItsOwn) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  h.pass(5s);
  h.answer(h.take_call<store::Due>().first, rows({row_of(first, to_ms(h.now.wall))}));
  const auto again = h.delivered();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 2u);
  EXPECT_NE(again[0].token, first.token);
}

TEST(Later, IsReadOnBehindTheLastRowAndAgainFromARowPutBeforeIt) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  h.pass(5s);
  const std::int64_t due_ms = to_ms(h.now.wall) + 60'000;  // by a clock that was set back since
  h.answer(h.take_call<store::Due>().first,
           store::Answer{store::DueRows{{row_of(first, due_ms)}, to_ms(h.now.wall)}});
  h.pass(100ms);
  const auto [ticket, behind] = h.take_call<store::Due>();
  EXPECT_EQ(behind.from_ms, due_ms);
  EXPECT_EQ(behind.after, first.id);
  h.answer(ticket, rows({}));
  h.answer(h.take_call<store::Due>().first, rows({}));  // asked for at once, because there was more

  const auto retried = h.delivered();
  ASSERT_EQ(retried.size(), 1u);
  h.done(h.failed_row(retried[0]));
  const auto [postponed, postpone] = h.take_call<store::Postpone>();
  ASSERT_LT(postpone.items[0].due_ms, due_ms);
  h.answer(postponed, moved());
  h.pass(5s);
  const auto again = h.take_call<store::Due>().second;
  EXPECT_EQ(again.from_ms, postpone.items[0].due_ms);
  EXPECT_FALSE(again.after);
}

TEST(Later, ARowThatWasPutThereWhileItWasReadIsNotForgotten) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  const auto both = h.delivered();
  ASSERT_EQ(both.size(), 2u);
  h.done(h.failed_row(both[0]));
  h.answer(h.take_call<store::Postpone>().first, moved());
  h.pass(5s);
  const auto reading = h.take_call<store::Due>().first;
  auto row = h.failed_row(both[1]);
  row.failure.retry_after_ms = 0;
  h.done(row);
  h.answer(h.take_call<store::Postpone>().first, moved());
  h.answer(reading, rows({row_of(both[0], to_ms(h.now.wall))}));  // it was applied before
  h.pass(100ms);
  EXPECT_EQ(h.waiting_calls<store::Due>(), 1u);
}

TEST(Later, WhatEndedWhileItWasReadIsNotLentAgain) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  h.pass(5s);
  const std::int64_t due_ms = to_ms(h.now.wall);
  h.answer(h.take_call<store::Due>().first,
           store::Answer{store::DueRows{{row_of(first, due_ms)}, due_ms}});
  const auto retried = h.delivered();
  ASSERT_EQ(retried.size(), 1u);
  h.pass(100ms);
  const auto reading = h.take_call<store::Due>().first;
  h.done(h.ok_row(retried[0]));
  h.answer(reading, rows({row_of(first, due_ms)}));
  EXPECT_TRUE(h.delivered().empty());
}

TEST(Later, ARetryStillCarriesTheWorkersThatVanishedWithIt) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  h.pass(5s);
  auto row = row_of(first, to_ms(h.now.wall));
  for (int n = 0; n < 4; ++n) {
    protocol::append_row(row.packed_ledger, {.number = 1, .outcome = Outcome::kWorkerLost});
  }
  h.answer(h.take_call<store::Due>().first, rows({row}));
  ASSERT_EQ(h.delivered().size(), 1u);
  h.core.on_worker_died(SessionId{1}, h.now);
  h.turn();
  ASSERT_EQ(h.waiting_calls<store::Bury>(), 1u) << "this was the fifth";
  EXPECT_EQ(h.take_call<store::Bury>().second.items[0].reason, protocol::DeadReason::kWorkerLosses);
}

TEST(Reports, AFailureThatHasBeenCountedIsNotCountedAgain) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  // The connection breaks before the report is confirmed: the worker names it and sends it again.
  h.hello("w", {{"f", first.id, first.token}});
  h.pass(5s);
  h.answer(h.take_call<store::Due>().first, rows({row_of(first, to_ms(h.now.wall))}));
  h.done(h.failed_row(first));
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 0u);
  h.credit(1000);
  const auto again = h.delivered();
  ASSERT_EQ(again.size(), 1u) << "its worker holds no more than an old report of it";
  EXPECT_EQ(again[0].attempt, 2u);
}

TEST(Reports, OfWhatWasAnnouncedAndNotReadYetEndTheAnnouncement) {
  CoreHarness h;
  const protocol::EventId id{{1'700'000'000'000, 0}, 0};
  h.hello("w", {{"f", id, {0x1001}}});
  protocol::Done::Row row;
  row.function = "f";
  row.id = id;
  row.token = {0x1001};
  row.outcome = Outcome::kFunctionError;
  row.final_status = protocol::Status::kFailed;
  h.done(row);
  EXPECT_TRUE(h.core.functions().at("f")->announced.empty());
}

// A page of the journal, or of `later`, that was read before an announced delivery ended and is
// answered after it still has it.
TEST(Reports, WhatWasAnnouncedAndEndsWhileItIsReadDoesNotRunAgain) {
  CoreHarness h(CoreHarness::one(), {}, {protocol::Lane{}});
  const protocol::EventId id{{1'699'999'999'000, 1}, 0}, other{{1'699'999'999'000, 1}, 1};
  h.pass(100ms);
  const auto page = h.take_call<store::Page>();
  h.hello("w", {{"f", id, {0x0001}}, {"f", other, {0x0001}}});
  h.credit(1000);
  protocol::Done::Row row;
  row.function = "f";
  row.id = id;
  row.token = {0x0001};
  h.done(row);
  row.id = other;
  row.outcome = Outcome::kDrained;  // it has not ended
  h.done(row);
  h.pass(1s);
  store::Paged paged;
  paged.entries.push_back(
      {.entry = id.entry, .entry_size = 2, .open = {{0, 0, h.event()}, {1, 1, h.event()}}});
  h.answer(page.first, store::Answer{paged});
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 1u);
  EXPECT_EQ(lent[0].id, other);
  EXPECT_TRUE(h.core.functions().at("f")->ended_while_paging.empty());
}

TEST(Reports, WhatWasAnnouncedAndEndsWhileItsRowIsReadDoesNotRunAgain) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  h.pass(5s);
  const std::int64_t due_ms = to_ms(h.now.wall);
  const auto reading = h.take_call<store::Due>().first;
  store::DueRows::Row earlier = row_of(first, due_ms), newer = earlier;
  earlier.id.index = 1;
  newer.id.index = 2;
  newer.token = {0x1009};  // another attempt has put it there since
  h.hello("v", {{"f", earlier.id, {0x1005}}, {"f", newer.id, {0x1005}}});
  for (const auto& id : {earlier.id, newer.id}) {
    protocol::Done::Row row;
    row.function = "f";
    row.id = id;
    row.token = {0x1005};
    h.done(row, "v");
  }
  h.answer(reading, rows({earlier, newer}));
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 1u);
  EXPECT_EQ(lent[0].id, newer.id);
}

TEST(Reports, WhatIsAnnouncedCountsAsRunningUntilItIsReported) {
  CoreHarness::Functions capped = CoreHarness::one();
  capped["f"] = "max_concurrency = 2\n" + capped["f"];
  CoreHarness h(capped);
  const protocol::EventId id{{1'700'000'000'000, 0}, 0};
  const protocol::EventId other{{1'700'000'000'000, 0}, 1};
  h.hello("w", {{"f", id, {0x1001}}, {"f", other, {0x1001}}});
  h.credit(1000);
  h.publish(1, {h.event()});
  h.answer_all();
  EXPECT_TRUE(h.delivered().empty());
  protocol::Done::Row row;
  row.function = "f";
  row.id = id;
  row.token = {0x1001};
  h.done(row);
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Reports, OfSeveralAttemptsNamedAtOnceTheLatestIsTakenUp) {
  CoreHarness h;
  const protocol::EventId id{{1'700'000'000'000, 0}, 0};
  h.hello("w", {{"f", id, {0x1003}}, {"f", id, {0x1001}}, {"f", id, {0x1002}}});
  EXPECT_EQ(h.core.functions().at("f")->announced.at(id).second.value, 0x1003u);
}

// Worker a has handed the first attempt back and says so once more; b has the second one.
TEST(Reports, OfAnEarlierAttemptDoesNotEndTheLatestThatIsAnnounced) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer_all();
  const protocol::EventId id = h.answers().at(0).runs.at(0).first;
  const auto report = [&](protocol::AttemptToken token, const std::string& worker) {
    protocol::Done::Row row;
    row.function = "f";
    row.id = id;
    row.token = token;
    row.outcome = Outcome::kDrained;
    h.done(row, worker);
  };
  h.hello("a", {{"f", id, {0x0001}}});
  h.hello("b", {{"f", id, {0x0002}}});
  h.credit(1000, "a");
  report({0x0001}, "a");
  EXPECT_TRUE(h.delivered("a").empty()) << "b runs it";
  report({0x0002}, "b");
  EXPECT_EQ(h.delivered("a").size(), 1u);
}

// It may have credit for thousands and drain for half a minute.
TEST(Reports, WhoHandsADeliveryBackIsNotSentItAgainAtOnce) {
  CoreHarness h;
  h.join(1000, "draining");
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  const auto first = h.delivered("draining");
  ASSERT_EQ(first.size(), 2u);
  h.done(h.failed_row(first[0], Outcome::kDrained), "draining");
  EXPECT_TRUE(h.delivered("draining").empty());
  h.join(1, "other");
  EXPECT_EQ(h.delivered("other").size(), 1u);

  h.done(h.failed_row(first[1], Outcome::kDrained), "draining");
  EXPECT_TRUE(h.delivered("draining").empty());
  h.pass(100ms);
  EXPECT_EQ(h.delivered("draining").size(), 1u) << "there is nobody else";
}

TEST(Sessions, AnotherProcessUnderTheNameOfAWorkerMeansThatTheFormerOneIsLost) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer_all();
  for (std::int32_t pid = 1; pid <= 5; ++pid) {
    h.feed("w", hello_of(pid));
    h.credit(1000);
    ASSERT_EQ(h.delivered().size(), 1u);
    EXPECT_EQ(h.waiting_calls<store::Bury>(), 0u);
  }
  h.feed("w", hello_of(6));
  ASSERT_EQ(h.waiting_calls<store::Bury>(), 1u) << "a poison event must not kill workers for ever";
  EXPECT_EQ(h.take_call<store::Bury>().second.items[0].reason, protocol::DeadReason::kWorkerLosses);
}

TEST(Sessions, TheSameProcessComingBackWithoutADeliveryIsNoLoss) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer_all();
  for (int n = 0; n < 10; ++n) {
    h.feed("w", hello_of(1));
    h.credit(1000);
    ASSERT_EQ(h.delivered().size(), 1u);
  }
  EXPECT_EQ(h.core.counters().attempts_worker_lost, 0u);
}

TEST(Sessions, AWorkerGivenUpTooEarlyTakesUpWhatItHeldAgain) {
  for (const bool suspected : {false, true}) {
    CoreOptions options;
    if (suspected) options.worker_losses_max = 2;
    CoreHarness h(CoreHarness::one(), options);
    h.join();
    h.publish(1, {h.event()});
    h.answer_all();
    const auto lent = h.delivered();
    ASSERT_EQ(lent.size(), 1u);
    h.pass(31s);  // a lease of silence
    const FunctionState& function = *h.core.functions().at("f");
    EXPECT_EQ(function.waiting(), 1u);
    EXPECT_EQ(function.suspects.size(), suspected ? 1u : 0u);
    h.hello("w", {{"f", lent[0].id, lent[0].token}});
    h.credit(1000);
    EXPECT_TRUE(h.delivered().empty()) << "it runs there still";
    h.done(h.ok_row(lent[0]));
    EXPECT_EQ(h.core.counters().deliveries_succeeded, 1u);
  }
}

TEST(Appends, OfAReplacedBrokerAreNotAnsweredSinceTheirFirstTryMayHaveBeenInTime) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer(h.take_call<store::Append>().first, stale("FENCED another broker has taken over"));
  EXPECT_TRUE(h.answers().empty());
  EXPECT_TRUE(h.core.ended());
}

TEST(Appends, WhoseOutcomeStaysUnknownAreLeftToTheNextBroker) {
  CoreHarness h;
  h.publish(1, {h.event()});
  h.answer(h.take_call<store::Append>().first, reconnect("OOM, and the first answer was lost"));
  EXPECT_TRUE(h.answers().empty());
  EXPECT_TRUE(h.core.ended());
}

TEST(Counts, FollowWhatAWorkerCommittedAfterItWasGivenUp) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  ASSERT_EQ(h.delivered().size(), 1u);
  h.core.on_worker_died(SessionId{1}, h.now);
  h.join(1000, "v");
  const auto again = h.delivered("v");
  ASSERT_EQ(again.size(), 1u);
  h.done(h.failed_row(again[0]), "v");
  h.answer(h.take_call<store::Postpone>().first,
           store::Answer{store::Moved{{store::Verdict::kFenced}}});
  EXPECT_EQ(h.core.functions().at("f")->unfinished(), 0u);
  EXPECT_EQ(h.core.functions().at("f")->counts.succeeded, 1);
}

TEST(Counts, OfWhatIsGoneAreAskedOfRedisAndNotTakenForSuccesses) {
  for (const bool buried : {false, true}) {
    CoreHarness h;
    h.join();
    h.publish(1, {h.event()});
    h.answer_all();
    h.done(h.failed_row(h.delivered().at(0), Outcome::kFunctionError, !buried));
    const Ticket ticket =
        buried ? h.take_call<store::Bury>().first : h.take_call<store::Postpone>().first;
    h.answer(ticket, store::Answer{store::Moved{{store::Verdict::kGone}}});
    const FunctionState& function = *h.core.functions().at("f");
    EXPECT_EQ(function.unfinished(), 0u);
    EXPECT_EQ(function.counts.succeeded, 0);
    EXPECT_EQ(h.core.counters().moves_gone, 1u);
    EXPECT_EQ(h.core.counters().moves_fenced, 0u);
    h.publish(2, {h.event()});
    h.answer(h.take_call<store::Append>().first, store::Answer{store::Appended{}});
    h.pass(100ms);
    ASSERT_EQ(h.waiting_calls<store::Survey>(), 1u) << "although something runs";
  }
}

TEST(Counts, OfRefusalsIncludeThoseOfABrokerThatIsLeaving) {
  CoreHarness h;
  h.core.begin_drain();
  h.publish(1, {h.event(), h.event()});
  EXPECT_EQ(h.core.counters().events_refused_unavailable, 2u);
}

TEST(Epoch, ABrokerThatReadsAYoungerOnesWritingEnds) {
  CoreHarness h;
  h.join();
  auto row = row_of(fail_one(h), 0);
  row.token = protocol::make_token(2, 1);
  h.pass(5s);
  h.answer(h.take_call<store::Due>().first, rows({row}));
  EXPECT_TRUE(h.core.ended());
  EXPECT_TRUE(h.delivered().empty());
}

TEST(Epoch, AnIdleBrokerThatWasReplacedFindsOut) {
  CoreHarness h;
  h.answer_all();
  h.pass(2s);
  h.answer(h.take_call<store::NoteWorker>().first, stale("FENCED another broker has taken over"));
  EXPECT_TRUE(h.core.ended());
}

TEST(Ticks, AreNotPutOffByAskingForTheNextOne) {
  CoreHarness h;
  const Duration first = h.core.until_next_tick(h.now);
  h.now.steady += first / 2;
  EXPECT_LE(h.core.until_next_tick(h.now), first - first / 2);
  h.now.steady += first;
  EXPECT_EQ(h.core.until_next_tick(h.now), Duration::zero());
}

// ---- Redis was restarted, perhaps with less than it had (class everysec) ----

store::Paged page_of(std::vector<protocol::EventId> ids) {
  store::Paged page;
  for (const auto& id : ids) {
    page.entries.push_back(
        {.entry = id.entry, .entry_size = 1, .open = {{id.index, 0, CoreHarness::event()}}});
  }
  return page;
}

// What a restarted Redis says of function f: one lane, `open` deliveries.
void answer_survey(CoreHarness& h, std::int64_t open) {
  store::Surveyed surveyed;
  surveyed.lanes = {protocol::Lane{}};
  surveyed.counts.open = open;
  h.answer(h.take_call<store::Survey>().first, store::Answer{surveyed});
}

std::vector<protocol::EventId> ids_of(const std::vector<protocol::Delivery>& deliveries) {
  std::vector<protocol::EventId> ids;
  for (const auto& delivery : deliveries) ids.push_back(delivery.id);
  return ids;
}

TEST(RedisRestart, WhatWaitedIsReadAgainAndLentOnce) {
  CoreHarness h;
  h.pass(100ms);
  h.publish(1, {h.event()});
  h.answer_all();
  const auto first = h.answers().at(0).runs.at(0).first;
  h.core.on_store_restarted();
  h.turn();
  answer_survey(h, 1);
  const auto [ticket, page] = h.take_call<store::Page>();
  EXPECT_EQ(page.after, protocol::EntryId{}) << "from the beginning";
  h.answer(ticket, store::Answer{page_of({first})});
  h.join();
  EXPECT_EQ(ids_of(h.delivered()), std::vector{first});
}

TEST(RedisRestart, WhatHadEndedAndIsOpenAgainRunsAgainAndWhatIsLentDoesNot) {
  CoreHarness h;
  h.join(2);
  h.publish(1, {h.event()});
  h.publish(1, {h.event()}, false, "other");
  h.answer_all();
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 2u);
  h.done(h.ok_row(lent[0]));  // its commit is what Redis has lost
  h.core.on_store_restarted();
  h.turn();
  answer_survey(h, 2);
  h.answer(h.take_call<store::Page>().first, store::Answer{page_of(ids_of(lent))});
  h.credit(10);
  EXPECT_EQ(ids_of(h.delivered()), std::vector{lent[0].id});
}

TEST(RedisRestart, APageThatWasAskedForBeforeItIsVoid) {
  CoreHarness h(CoreHarness::one(), {}, {protocol::Lane{}});
  h.pass(100ms);
  const protocol::EventId id{{1'699'999'999'000, 0}, 0};
  const auto before = h.take_call<store::Page>().first;
  h.core.on_store_restarted();
  h.turn();
  h.answer(before, store::Answer{page_of({id})});
  answer_survey(h, 1);
  h.answer(h.take_call<store::Page>().first, store::Answer{page_of({id})});
  h.join();
  EXPECT_EQ(ids_of(h.delivered()).size(), 1u);
}

TEST(RedisRestart, RowsOfLaterAreReadFromTheirBeginning) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  h.pass(5s);
  const std::int64_t due_ms = to_ms(h.now.wall);
  h.answer(h.take_call<store::Due>().first, rows({row_of(first, due_ms)}));
  const auto again = h.delivered();
  ASSERT_EQ(again.size(), 1u);
  h.done(h.ok_row(again[0]));  // lost
  h.core.on_store_restarted();
  h.turn();
  store::Surveyed surveyed;
  surveyed.next_due_ms = due_ms;
  surveyed.counts.later = 1;
  h.answer(h.take_call<store::Survey>().first, store::Answer{surveyed});
  h.answer(h.take_call<store::Due>().first, rows({row_of(first, due_ms)}));
  EXPECT_EQ(h.delivered().size(), 1u);
}

// A commit that Redis lost without the broker's noticing a restart.
TEST(RedisRestart, WhatIsOpenThereWhileNothingIsHeldHereIsReadAgain) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 2u);
  h.done(h.ok_row(lent[0]));
  h.done(h.ok_row(lent[1]));
  h.pass(2s);
  EXPECT_EQ(h.waiting_calls<store::Survey>(), 0u) << "the counts agree: nothing is asked";
  h.core.on_store_restarted();
  h.turn();
  answer_survey(h, 1);  // the lane is read to its end, and nothing is found: a count in doubt
  h.answer(h.take_call<store::Page>().first, store::Answer{store::Paged{}});
  h.pass(2s);
  answer_survey(h, 1);
  EXPECT_EQ(h.waiting_calls<store::Survey>(), 1u) << "read anew, from its beginning";
}

TEST(RedisRestart, ACountThatRedisCannotGiveNowIsAskedForAgain) {
  CoreHarness h;
  h.pass(100ms);
  h.core.on_store_restarted();
  h.turn();
  h.answer(h.take_call<store::Survey>().first, retry_later("busy"));
  EXPECT_FALSE(h.core.ended());
  h.pass(2s);
  EXPECT_EQ(h.waiting_calls<store::Survey>(), 1u);
}

// ---- a former broker whose clock was ahead has lent what this one would put off ----

// An event with a time of its own lies unread in the journal; worker w may say that it has it.
struct Early {
  CoreHarness h{CoreHarness::one(), {}, {protocol::Lane{}}};
  const protocol::EventId id{{1'699'999'999'000, 1}, 0};  // accepted a second ago
  const protocol::AttemptToken token = protocol::make_token(0, 1);
  const std::int64_t deliver_at = to_ms(h.now.wall) + 60'000;

  void hello() { h.hello("w", {{.function = "f", .id = id, .token = token}}); }
  void page() {
    protocol::PublishOptions options;
    options.deliver_at = deliver_at;
    store::Paged page;
    page.entries.push_back(
        {.entry = id.entry, .entry_size = 1, .open = {{0, 0, h.event(options)}}});
    h.answer(h.take_call<store::Page>().first, store::Answer{page});
  }
  void end(Outcome outcome) {
    protocol::Delivery delivery;
    delivery.id = id;
    delivery.token = token;
    delivery.attempt = 1;
    h.done(h.failed_row(delivery, outcome));
  }
  void expect_put_off() {
    ASSERT_EQ(h.waiting_calls<store::Postpone>(), 1u);
    EXPECT_EQ(h.take_call<store::Postpone>().second.items.at(0).due_ms, deliver_at);
    EXPECT_TRUE(h.delivered().empty());
  }
};

TEST(EarlyAttempt, WhatAWorkerSaysItHasIsNotPutOff) {
  Early e;
  e.hello();
  e.page();
  EXPECT_EQ(e.h.waiting_calls<store::Postpone>(), 0u) << "it would fence off what runs";
  EXPECT_EQ(e.h.core.functions().at("f")->leases.size(), 1u);
}

TEST(EarlyAttempt, WhatNobodyHasIsPutOff) {
  Early e;
  e.h.hello("w");
  e.page();
  e.expect_put_off();
}

TEST(EarlyAttempt, HandedBackItWaitsForItsTime) {
  Early e;
  e.hello();
  e.page();
  e.h.credit(10);
  e.end(Outcome::kDrained);
  e.expect_put_off();
}

TEST(EarlyAttempt, LostWithItsWorkerItWaitsForItsTime) {
  Early e;
  e.hello();
  e.page();
  e.h.join(10, "other");
  e.h.core.on_worker_died(e.h.core.sessions().begin()->first, e.h.now);
  e.h.turn();
  e.expect_put_off();
}

TEST(EarlyAttempt, FailedItIsNotRetriedBeforeItsTime) {
  Early e;
  e.hello();
  e.page();
  e.h.credit(10);
  e.end(Outcome::kFunctionError);
  e.expect_put_off();
}

TEST(Announcement, SaidTwiceBeforeItWasReadItStillCounts) {
  Early e;
  e.hello();
  e.hello();  // the Welcome was lost
  e.page();
  EXPECT_EQ(e.h.core.functions().at("f")->leases.size(), 1u);
}

// ---- attempts have 4,095 numbers ----

TEST(Numbers, WhatIsHandedBackAgainAndAgainRestsInLater) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  std::size_t prompt = 0;
  while (h.waiting_calls<store::Postpone>() == 0) {
    const auto lent = h.delivered();
    ASSERT_EQ(lent.size(), 1u) << prompt;
    ++prompt;
    h.done(h.failed_row(lent[0], Outcome::kDrained));
    if (h.waiting_calls<store::Postpone>() == 0) h.pass(100ms);
    ASSERT_LT(prompt, 1000u);
  }
  EXPECT_EQ(prompt, 256u);
  const auto item = h.take_call<store::Postpone>().second.items.at(0);
  EXPECT_EQ(item.due_ms, to_ms(h.now.wall) + 1000);
  EXPECT_EQ(item.attempts, 0u) << "it costs nothing";
}

TEST(Numbers, AreNotUsedTwiceByOneBroker) {
  CoreHarness h;
  h.join();
  const auto first = fail_one(h);
  h.pass(5s);
  auto row = row_of(first, to_ms(h.now.wall));
  row.token = protocol::make_token(h.core.epoch(), 4094);
  h.answer(h.take_call<store::Due>().first, rows({row}));
  const auto last = h.delivered();
  ASSERT_EQ(last.size(), 1u);
  EXPECT_EQ(last[0].token, protocol::make_token(h.core.epoch(), 4095));
  h.core.on_worker_died(SessionId{1}, h.now);
  h.join(1000, "v");
  EXPECT_TRUE(h.delivered("v").empty()) << "its first attempt's number would come again";
  ASSERT_TRUE(h.core.ended());
  EXPECT_EQ(h.core.ended()->kind, ErrorKind::kReconnect) << "to start anew, under the next epoch";
}

// ---- what a worker names costs as much as it is ----

// Of the processor: what else the machine does is not in it.
Duration time_of_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

// How much time a broker takes over a Hello that names `count` deliveries which all wait here, as
// after a restart.
Duration time_of_hello(std::uint64_t count) {
  CoreOptions options;
  options.window.deliveries_max = count;
  options.window.bytes_max = 1u << 30;
  CoreHarness h(CoreHarness::one(), options);
  std::vector<protocol::HeldDelivery> held;
  for (std::uint64_t batch = 1; batch <= count / 250; ++batch) {
    h.publish(batch, std::vector<std::string>(250, h.event()));
    h.answer_all();
    for (const auto& answer : h.answers()) {
      for (const auto& run : answer.runs) {
        for (std::uint32_t n = 0; n < run.count; ++n) {
          auto id = run.first;
          id.index = static_cast<std::uint8_t>(id.index + n);
          held.push_back({"f", id, {0x0001}});
        }
      }
    }
  }
  EXPECT_EQ(held.size(), count);
  std::ranges::reverse(held);
  const Duration start = time_of_thread();
  h.hello("w", held);
  const Duration took = time_of_thread() - start;
  EXPECT_EQ(h.core.functions().at("f")->leases.size(), count);
  EXPECT_EQ(h.core.functions().at("f")->queue.size(), 0u);
  return took;
}

TEST(Hello, TakesTimeThatGrowsWithWhatItNamesAndNotWithItsSquare) {
  // What was freed is kept: where fresh pages are dear, the time would be the kernel's.
  ::mallopt(M_MMAP_MAX, 0);
  ::mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  Duration few = time_of_hello(4'000), many = time_of_hello(32'000);
  for (int again = 0; again < 2; ++again) {  // the machine may have been busy with something else
    few = std::min(few, time_of_hello(4'000));
    many = std::min(many, time_of_hello(32'000));
  }
  RecordProperty("of_4000_us", static_cast<int>(few / 1us));
  RecordProperty("of_32000_us", static_cast<int>(many / 1us));
  EXPECT_LT(many, 30 * few) << "8 times as many; the square would be 64 times";
}

}  // namespace
}  // namespace fanfare::broker
