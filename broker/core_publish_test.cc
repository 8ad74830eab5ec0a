// What publishers are answered, and a batch that comes again.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
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

TEST(Publishing, LargeEventsLieBesideTheirEntryIfTheDataHaveLayoutTwo) {
  for (const std::uint32_t layout : {1u, 2u}) {
    CoreOptions options;
    options.layout = layout;
    CoreHarness h(CoreHarness::one(), options);
    h.publish(1, {h.event()});
    EXPECT_EQ(h.take_call<store::Append>().second.beside, layout == 2);
  }
}

TEST(Publishing, WithoutTheProtectionAcknowledgesTooEarly) {
  CoreOptions options;
  options.protections.acknowledge_after_journal = false;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event()});
  EXPECT_EQ(h.answers().size(), 1u);
}

TEST(Publishing, ToAFunctionByNameReachesThatOneAlone) {
  CoreHarness h({{"f", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}, {"g", ""}});
  protocol::PublishOptions to;
  to.to = "g";
  h.publish(1, {h.event(to)});
  const auto [ticket, append] = h.take_call<store::Append>();
  ASSERT_EQ(append.streams.size(), 1u);
  EXPECT_EQ(append.streams[0].function, "g");
  h.answer(ticket, store::Answer{store::Appended{}});
  EXPECT_EQ(h.answers().at(0).routes.at(0), std::vector<std::string>{"g"});

  to.to = "nobody";
  h.publish(2, {h.event(to)});
  h.answer_all();
  const auto answers = h.answers();
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].runs.at(0).fate, Fate::kRefused);
  EXPECT_EQ(answers[0].errors.at(0).code, protocol::Refusal::kNoSuchFunction);
  EXPECT_EQ(h.core.counters().events_refused_no_such_function, 1u);
}

TEST(Publishing, ReachesTheRightFunctionsHoweverManyRoutesThereAre) {
  CoreOptions options;
  options.route_names_max =
      1;  // each route is forgotten for the next one, which may lie in its place
  CoreHarness h({{"a", "[[on]]\npattern = '{\"type\":[{\"prefix\":\"a\"}]}'\n"},
                 {"b", "[[on]]\npattern = '{\"type\":[{\"suffix\":\"b\"}]}'\n"}},
                options);
  const std::map<std::string, std::vector<std::string>> routes{
      {"ax", {"a"}}, {"xb", {"b"}}, {"ab", {"a", "b"}}};
  std::uint64_t batch = 0;
  for (int round = 0; round < 20; ++round) {
    for (const auto& [type, functions] : routes) {
      protocol::Event event;
      event.source = "/tests";
      event.type = type;
      h.publish(++batch, {protocol::pack(event)});
      h.answer_all();
      const auto answers = h.answers();
      ASSERT_EQ(answers.size(), 1u);
      EXPECT_EQ(answers[0].routes.at(0), functions) << type;
    }
  }
}

TEST(Publishing, OfATypeThatCameBeforeReachesWhatWasDeployedSinceThen) {
  constexpr const char* kOnX = "[[on]]\npattern = '{\"type\":[\"x\"]}'\n";
  CoreHarness h({{"a", kOnX}, {"b", "[[on]]\npattern = '{\"type\":[\"y\"]}'\n"}});
  std::uint64_t batch = 0;
  const auto reached = [&] {
    protocol::Event event;
    event.source = "/tests";
    event.type = "x";
    h.publish(++batch, {protocol::pack(event)});
    h.answer_all();
    const auto answers = h.answers();
    EXPECT_EQ(answers.size(), 1u);
    return answers.at(0).routes.at(0);
  };
  for (int times = 0; times < 3; ++times) EXPECT_EQ(reached(), std::vector<std::string>{"a"});
  h.ask("deploy",
        nlohmann::json{{"name", "b"}, {"manifest", kOnX}, {"digest", std::string(64, 'e')}}.dump());
  for (int times = 0; times < 3; ++times) {
    EXPECT_EQ(reached(), (std::vector<std::string>{"a", "b"}));
  }
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

TEST(Publishing, ABatchOfOneIsJournaledBesideOneOfThousands) {
  CoreHarness h(CoreHarness::one());
  h.core.on_frame(
      "pub-c",
      protocol::encode(protocol::Publish{"c", 1, false, std::vector<std::string>(4096, h.event())}),
      h.now);
  h.core.on_frame("pub-d", protocol::encode(protocol::Publish{"d", 1, false, {h.event()}}), h.now);
  h.core.flush(h.now);
  h.collect();
  EXPECT_LE(h.core.counters().chunks_appended, 3u) << "a turn of the loop takes some hundred";
  h.turn();
  h.answer_all();
  const auto small = h.answers("d"), large = h.answers("c");
  ASSERT_EQ(small.size(), 1u);
  ASSERT_EQ(large.size(), 1u);
  std::size_t accepted = 0;
  for (const auto& run : large[0].runs) accepted += run.count;
  EXPECT_EQ(accepted, 4096u);
  EXPECT_LT(small[0].runs.at(0).first, large[0].runs.back().first)
      << "it was cut before the rest of the large one";
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

// The guard has one value for a batch in an entry of the journal.
TEST(RepeatGuard, KeepsAllSlicesOfABatchThatShareAnEntryWithOthersBetweenThem) {
  CoreOptions options;
  options.admitted_at_once = 2;
  CoreHarness h(CoreHarness::one(), options);
  h.publish(1, {h.event()}, false, "earlier");
  const auto first = h.take_call<store::Append>().first;
  for (const auto& [client, events] : {std::pair{"a", 6}, std::pair{"b", 3}}) {  // in one turn
    h.core.on_frame(client,
                    protocol::encode(protocol::Publish{
                        client, 7, false,
                        std::vector<std::string>(static_cast<std::size_t>(events), h.event())}),
                    h.now);
  }
  h.turn();
  h.answer(first, store::Answer{store::Appended{}});
  const auto append = h.take_call<store::Append>().second;
  ASSERT_EQ(append.streams[0].items.size(), 9u);
  for (const auto& [client, events] : {std::pair{"a", 6u}, std::pair{"b", 3u}}) {
    const auto guard = std::ranges::find(append.guards, client, &store::Append::Guard::client);
    ASSERT_NE(guard, append.guards.end());
    const auto kept = unpack_guard_parts(7, guard->packed_runs);
    ASSERT_TRUE(kept);
    EXPECT_EQ(events_answered(*kept), events);
    EXPECT_TRUE(std::ranges::none_of(kept->runs,
                                     [](const auto& run) { return run.fate == Fate::kRefused; }));
  }
  EXPECT_EQ(append.guards.size(), 2u);
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

// Of tenants in lanes of their own.
TEST(Publish, ToManyFunctionsIsCutSoThatRedisTakesEachAppend) {
  constexpr int kFunctions = 300, kEvents = 16;
  CoreHarness::Functions functions;
  for (int i = 0; i < kFunctions; ++i) {
    functions.emplace("f" + std::to_string(i), CoreHarness::one().at("f"));
  }
  CoreHarness h(functions);
  std::vector<std::string> events;
  for (int i = 0; i < kEvents; ++i) {
    events.push_back(h.event(protocol::PublishOptions{.tenant = "t" + std::to_string(i)}));
  }
  h.publish(1, events);
  std::size_t appends = 0, items = 0;
  while (h.waiting_calls<store::Append>() > 0) {
    const auto [ticket, append] = h.take_call<store::Append>();
    EXPECT_LE(append.streams.size(), store::kAppendStreamsMax);
    for (const auto& stream : append.streams) items += stream.items.size();
    h.answer(ticket, store::Answer{store::Appended{}});
    ++appends;
  }
  EXPECT_EQ(items, std::size_t{kFunctions} * kEvents);
  EXPECT_GT(appends, 1u);
  EXPECT_EQ(h.core.counters().deliveries_created, std::uint64_t{kFunctions} * kEvents);
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

}  // namespace
}  // namespace fanfare::broker
