#include "broker/core.h"

#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;
using protocol::Refusal;

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

// Whoever is woken first has a processor first.
TEST(MemoryClass, GivesTheWorkerItsDeliveryBeforeThePublisherHearsOfIt) {
  CoreOptions options;
  options.durability = Durability::kMemory;
  CoreHarness h(CoreHarness::one(), options);
  h.join();
  h.core.on_frame("pub-c", protocol::encode(protocol::Publish{"c", 1, false, {h.event()}}), h.now);
  h.core.flush(h.now);
  const auto frames = h.core.take_frames();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].peer, "w");
  EXPECT_EQ(frames[1].peer, "pub-c");
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
    starting.flush(h.now);
  };
  answer_next([](const store::Call&) { return store::Answer{store::Begun{1, {}}}; });
  answer_next([](const store::Call& call) {
    if (std::holds_alternative<store::ListWorkers>(call)) return store::Answer{store::WorkerList{}};
    if (std::holds_alternative<store::ListTopics>(call)) return store::Answer{store::TopicList{}};
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
