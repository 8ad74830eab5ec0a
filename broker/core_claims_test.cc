// Events that have been published before: each race between a first event and its duplicate.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Refusal;
using Fate = protocol::PublishRun::Fate;

std::string named(const std::string& id, const std::string& data = "x", std::string type = "t") {
  protocol::Event e;
  e.source = "/tests";
  e.type = std::move(type);
  e.id = id;
  e.data = data;
  return protocol::pack(e);
}
std::string keyed(const std::string& key, const std::string& data = "x", std::string id = {}) {
  protocol::Event e;
  e.source = "/tests";
  e.type = "t";
  e.id = std::move(id);
  e.data = data;
  e.options.idempotency_key = key;
  return protocol::pack(e);
}

// How each event of an answer fared, and under which id.
std::vector<std::pair<Fate, protocol::EventId>> fates(const protocol::Published& answer) {
  std::vector<std::pair<Fate, protocol::EventId>> all;
  for (const auto& run : answer.runs) {
    for (std::uint32_t n = 0; n < run.count; ++n) {
      protocol::EventId id = run.first;
      if (run.fate != Fate::kRefused) id.index = static_cast<std::uint8_t>(id.index + n);
      all.emplace_back(run.fate, id);
    }
  }
  return all;
}

class Duplicates : public ::testing::Test {
 protected:
  explicit Duplicates(CoreOptions options = {}) : h(CoreHarness::one(), options) {}

  // Nothing lies under any key.
  void find_nothing() {
    const auto [ticket, lookup] = h.take_call<store::Lookup>();
    h.answer(ticket, store::Answer{store::LookedUp{
                         std::vector<std::optional<std::string>>(lookup.keys.size())}});
  }
  std::pair<Fate, protocol::EventId> only_fate(const std::string& client) {
    const auto answers = h.answers(client);
    if (answers.size() != 1) {
      ADD_FAILURE() << answers.size() << " answers to " << client;
      return {Fate::kRefused, {}};
    }
    return fates(answers[0]).at(0);
  }
  void publish(const std::string& client, std::vector<std::string> events,
               std::uint64_t sequence = 1, bool repeat = false) {
    h.publish(sequence, std::move(events), repeat, client);
  }

  CoreHarness h;
};

TEST_F(Duplicates, WhatIsAdmittedOfABatchAfterItsKeysAreKnownIsNotForgotten) {
  std::vector<std::string> events(1200, h.event());
  events.front() = keyed("k");
  h.core.on_frame("pub-c", protocol::encode(protocol::Publish{"c", 1, false, events}), h.now);
  h.core.flush(h.now);  // some hundred of them, of which the first one's key is looked up
  h.collect();
  find_nothing();
  h.turn();
  h.answer_all();
  const auto answers = h.answers("c");
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(fates(answers[0]).size(), 1200u);
}

TEST_F(Duplicates, EventsWithoutIdOrKeyAreNotLookedUp) {
  publish("a", {h.event()});
  EXPECT_EQ(h.waiting_calls<store::Lookup>(), 0u);
  EXPECT_TRUE(h.take_call<store::Append>().second.claims.empty());
}

TEST_F(Duplicates, AreAnsweredWithTheFirstOnesIdAndRoute) {
  publish("a", {named("1")});
  h.answer_all();
  const auto first = only_fate("a");
  EXPECT_EQ(first.first, Fate::kAccepted);

  publish("b", {named("1", "another body")});
  EXPECT_EQ(h.waiting_calls<store::Lookup>(), 0u) << "this broker made the claim";
  const auto [ticket, append] = h.take_call<store::Append>();
  EXPECT_TRUE(append.streams.empty());
  EXPECT_TRUE(append.claims.empty());
  EXPECT_EQ(append.guards.size(), 1u) << "a repeat must get the same answer";
  EXPECT_TRUE(h.answers("b").empty()) << "not before the guard is written";
  h.answer(ticket, store::Answer{store::Appended{}});
  const auto answers = h.answers("b");
  EXPECT_EQ(fates(answers.at(0)).at(0), std::pair(Fate::kDuplicate, first.second));
  EXPECT_EQ(answers[0].routes.at(answers[0].runs[0].detail), std::vector<std::string>{"f"});
  EXPECT_EQ(h.core.counters().events_accepted, 1u);
  EXPECT_EQ(h.core.counters().events_duplicate, 1u);
  EXPECT_EQ(h.core.counters().deliveries_created, 1u);
}

TEST_F(Duplicates, OfAFormerBrokersEventAreFoundInRedis) {
  publish("a", {keyed("k")});
  const auto claim = h.take_call<store::Lookup>().second.keys.at(0);
  h.core.begin_drain();

  CoreHarness next;
  next.publish(1, {keyed("k")}, false, "b");
  const auto [ticket, lookup] = next.take_call<store::Lookup>();
  EXPECT_EQ(lookup.keys, std::vector<ClaimKey>{claim}) << "the same key in every process";
  const Claimed by{{{77, 1}, 5},
                   claims_of(*protocol::view_event(keyed("k")), "k")->payload,
                   std::make_shared<const std::vector<std::string>>(
                       std::vector<std::string>{"f", "gone-since"})};
  next.answer(ticket, store::Answer{store::LookedUp{{pack(by)}}});
  next.answer_all();
  const auto answer = next.answers("b").at(0);
  EXPECT_EQ(fates(answer).at(0), std::pair(Fate::kDuplicate, by.event));
  EXPECT_EQ(answer.routes.at(0), *by.route);
}

TEST_F(Duplicates, ClaimsGoWithTheAppendAndNameTheWindow) {
  publish("a", {keyed("k", "x", "1"), h.event(), named("2")});
  find_nothing();
  const auto append = h.take_call<store::Append>().second;
  ASSERT_EQ(append.claims.size(), 3u);
  EXPECT_EQ(append.claim_window_ms, 300'000);
  EXPECT_EQ(unpack_claimed(append.claims[0].packed)->event, (protocol::EventId{append.entry, 0}));
  EXPECT_FALSE(unpack_claimed(append.claims[0].packed)->payload);
  EXPECT_EQ(unpack_claimed(append.claims[1].packed)->event, (protocol::EventId{append.entry, 0}));
  EXPECT_TRUE(unpack_claimed(append.claims[1].packed)->payload);
  EXPECT_EQ(unpack_claimed(append.claims[2].packed)->event, (protocol::EventId{append.entry, 2}));
}

TEST_F(Duplicates, UnmatchedEventsClaimToo) {
  publish("a", {named("1", "x", "nobody asks for this")});
  find_nothing();
  const auto append = h.take_call<store::Append>().second;
  EXPECT_TRUE(append.streams.empty());
  EXPECT_EQ(append.claims.size(), 1u);
}

TEST_F(Duplicates, OtherPublishersDoNotWaitForALookup) {
  publish("a", {named("1")});
  publish("b", {h.event()});
  const auto [ticket, append] = h.take_call<store::Append>();
  EXPECT_EQ(append.guards.at(0).client, "b");
  h.answer(ticket, store::Answer{store::Appended{}});
  EXPECT_EQ(h.answers("b").size(), 1u);
  EXPECT_TRUE(h.answers("a").empty());
  h.answer_all();
  EXPECT_EQ(only_fate("a").first, Fate::kAccepted);
}

TEST_F(Duplicates, ALookupAsksForTheKeysOfOneTurn256AtATime) {
  std::vector<std::string> events;
  for (int i = 0; i < 300; ++i) events.push_back(named(std::to_string(i)));
  publish("a", events);
  publish("b", {named("7"), named("7")});
  ASSERT_EQ(h.waiting_calls<store::Lookup>(), 2u);
  const auto one = h.take_call<store::Lookup>(), two = h.take_call<store::Lookup>();
  EXPECT_EQ(one.second.keys.size(), 256u);
  EXPECT_EQ(two.second.keys.size(), 44u) << "b's is asked for already";
  // The answers come the other way round.
  const auto none = [](std::size_t n) {
    return store::Answer{store::LookedUp{std::vector<std::optional<std::string>>(n)}};
  };
  h.answer(two.first, none(44));
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u);
  h.answer(one.first, none(256));
  h.answer_all();
  EXPECT_EQ(fates(h.answers("a").at(0)).size(), 300u);
  EXPECT_EQ(h.core.counters().events_duplicate, 2u);
}

TEST_F(Duplicates, AnEventWhoseClaimIsUnderWayWaitsForItsAppend) {
  publish("a", {named("1")});
  find_nothing();
  const auto first = h.take_call<store::Append>();
  publish("b", {named("1")});
  publish("c", {h.event()});
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u);
  h.answer(first.first, store::Answer{store::Appended{}});
  h.answer_all();
  const auto id = only_fate("a").second;
  EXPECT_EQ(only_fate("b"), std::pair(Fate::kDuplicate, id));
  EXPECT_EQ(only_fate("c").first, Fate::kAccepted);
}

TEST_F(Duplicates, AnEventIsNewWhenTheFirstOnesAppendFailed) {
  publish("a", {named("1")});
  find_nothing();
  const auto first = h.take_call<store::Append>();
  publish("b", {named("1")});
  h.answer(first.first, retry_later("OOM"));
  EXPECT_EQ(only_fate("a").first, Fate::kRefused);
  const auto second = h.take_call<store::Append>();
  EXPECT_EQ(second.second.claims.size(), 1u);
  h.answer(second.first, store::Answer{store::Appended{}});
  EXPECT_EQ(only_fate("b").first, Fate::kAccepted);
}

TEST_F(Duplicates, TheSameIdTwiceInABatchIsDecidedAtOnce) {
  publish("a", {named("1"), h.event(), named("1")});
  find_nothing();
  const auto [ticket, append] = h.take_call<store::Append>();
  EXPECT_EQ(append.claims.size(), 1u);
  EXPECT_EQ(append.streams.at(0).items.size(), 2u);
  h.answer(ticket, store::Answer{store::Appended{}});
  const auto all = fates(h.answers("a").at(0));
  EXPECT_EQ(all.at(0), std::pair(Fate::kAccepted, protocol::EventId{append.entry, 0}));
  EXPECT_EQ(all.at(1), std::pair(Fate::kAccepted, protocol::EventId{append.entry, 1}));
  EXPECT_EQ(all.at(2), std::pair(Fate::kDuplicate, protocol::EventId{append.entry, 0}));
}

TEST_F(Duplicates, InAChunkThatFailsAreRefusedWithIt) {
  publish("a", {named("1"), named("1")});
  find_nothing();
  h.answer(h.take_call<store::Append>().first, retry_later("OOM"));
  EXPECT_EQ(h.core.counters().events_refused_queue_full, 2u);
  EXPECT_EQ(h.core.counters().events_duplicate, 0u);
  publish("a", {named("1")}, 2);
  h.answer_all();
  EXPECT_EQ(fates(h.answers("a").back()).at(0).first, Fate::kAccepted) << "nothing was claimed";
}

TEST_F(Duplicates, AKeyWithAnotherPayloadIsRefusedAndSaysSo) {
  publish("a", {keyed("k", "one")});
  h.answer_all();
  publish("b", {keyed("k", "two"), h.event()});
  h.answer_all();
  const auto answer = h.answers("b").at(0);
  EXPECT_EQ(fates(answer).at(0).first, Fate::kRefused);
  EXPECT_EQ(fates(answer).at(1).first, Fate::kAccepted) << "its neighbour is not touched";
  EXPECT_EQ(answer.errors.at(0).code, Refusal::kInvalid);
  EXPECT_NE(answer.errors.at(0).message.find("idempotency_key"), std::string::npos);
  EXPECT_EQ(h.core.counters().events_refused_mismatch, 1u);
  EXPECT_EQ(h.core.functions().at("f")->arriving, 0u);
}

TEST_F(Duplicates, AnIdNeedsNoPayloadAndSaysMoreThanAKey) {
  publish("a", {named("1", "one")});
  h.answer_all();
  const auto first = only_fate("a").second;
  publish("b", {keyed("k", "two", "1")});
  h.answer_all();
  EXPECT_EQ(only_fate("b"), std::pair(Fate::kDuplicate, first));
  publish("c", {keyed("k", "three")});
  h.answer_all();
  EXPECT_EQ(only_fate("c").first, Fate::kAccepted) << "a duplicate claims nothing";
}

TEST_F(Duplicates, ARefusedEventClaimsNothing) {
  publish("a", {keyed("k", "one")});
  h.answer_all();
  publish("b", {keyed("k", "two", "new id")});  // another payload
  h.answer_all();
  publish("c", {named("new id")});
  h.answer_all();
  EXPECT_EQ(only_fate("c").first, Fate::kAccepted);
}

class WithAQueueOfOne : public Duplicates {
 protected:
  WithAQueueOfOne() : Duplicates({.queue_max = 1}) {}
};

TEST_F(WithAQueueOfOne, ADuplicateNeedsNoRoom) {
  publish("a", {named("1")});
  h.answer_all();
  publish("b", {named("1"), named("2")});
  h.answer_all();
  const auto answer = h.answers("b").at(0);
  EXPECT_EQ(fates(answer).at(0).first, Fate::kDuplicate);
  EXPECT_EQ(fates(answer).at(1).first, Fate::kRefused);
  EXPECT_EQ(answer.errors.at(0).code, Refusal::kQueueFull);
  EXPECT_EQ(h.core.counters().events_refused_queue_full, 1u);
  EXPECT_EQ(h.core.functions().at("f")->arriving, 0u);
}

TEST_F(Duplicates, ARepeatedBatchGetsTheFirstAnswerDuplicatesIncluded) {
  publish("a", {named("1")});
  h.answer_all();
  publish("b", {named("1"), named("2"), named("2")});
  h.answer_all();
  const auto answer = h.answers("b").at(0);
  publish("b", {named("1"), named("2"), named("2")}, 1, true);
  h.answer_all();
  EXPECT_EQ(h.answers("b").at(0), answer);

  // And from a broker that has only what the guard kept.
  publish("c", {named("1"), named("3"), named("3")});
  find_nothing();
  const auto append = h.take_call<store::Append>();
  const std::string kept = append.second.guards.at(0).packed_runs;
  h.answer(append.first, store::Answer{store::Appended{}});
  const auto told = h.answers("c").at(0);
  CoreHarness next;
  next.publish(1, {named("1"), named("3"), named("3")}, true, "c");
  next.answer(next.take_call<store::Recall>().first, store::Answer{store::Recalled{kept}});
  EXPECT_EQ(next.waiting_calls<store::Lookup>(), 0u);
  EXPECT_EQ(next.answers("c").at(0), told);
}

TEST_F(Duplicates, ARepeatOfABatchThatIsLookedUpWaitsWithIt) {
  publish("a", {named("1")});
  publish("a", {named("1")}, 1, true);
  h.answer_all();
  EXPECT_EQ(h.answers("a").size(), 1u);
  EXPECT_EQ(h.core.counters().events_accepted, 1u);
}

TEST_F(Duplicates, ALookupThatFailsIsAskedAgain) {
  publish("a", {named("1")});
  h.answer(h.take_call<store::Lookup>().first, retry_later("LOADING"));
  EXPECT_EQ(h.core.counters().lookups_failed, 1u);
  EXPECT_FALSE(h.core.settled());
  h.pass(100ms);
  find_nothing();
  h.answer_all();
  EXPECT_EQ(only_fate("a").first, Fate::kAccepted);
}

TEST_F(Duplicates, WhatTheStoreKnowsBetterIsRefusedAndAskedAnew) {
  publish("a", {named("1"), h.event()});
  find_nothing();
  h.answer(h.take_call<store::Append>().first, reject("CLAIMED"));
  const auto answer = h.answers("a").at(0);
  EXPECT_EQ(fates(answer).at(0).first, Fate::kRefused);
  EXPECT_EQ(answer.errors.at(0).code, Refusal::kUnavailable);
  publish("a", {named("1")}, 2);
  EXPECT_EQ(h.waiting_calls<store::Lookup>(), 1u);
}

TEST_F(Duplicates, AfterTheWindowRedisIsAskedAgain) {
  publish("a", {named("1")});
  h.answer_all();
  h.pass(5min);
  publish("b", {named("1")});
  find_nothing();
  h.answer_all();
  EXPECT_EQ(only_fate("b").first, Fate::kAccepted);
}

// With `everysec` the first event may be gone, and its claim with it.
TEST_F(Duplicates, OfEventsThatRedisLostAreNew) {
  publish("a", {named("1"), named("2")});
  h.answer_all();
  publish("b", {named("2")});  // decided from memory; its own append is under way
  const auto guarded = h.take_call<store::Append>();
  publish("c", {named("1")});  // waits behind it
  h.core.on_store_restarted();
  h.turn();
  h.answer(guarded.first, store::Answer{store::Appended{}});
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u) << "c's key is asked for anew";
  find_nothing();
  h.answer_all();
  EXPECT_EQ(only_fate("c").first, Fate::kAccepted);
}

class InMemory : public Duplicates {
 protected:
  InMemory() : Duplicates({.durability = Durability::kMemory}) {}
};

TEST_F(InMemory, TheTableAloneDecides) {
  publish("a", {named("1"), named("1"), keyed("k")});
  publish("b", {named("1"), keyed("k", "other")});
  EXPECT_EQ(h.waiting_calls<store::Lookup>(), 0u);
  const auto a = fates(h.answers("a").at(0)), b = fates(h.answers("b").at(0));
  EXPECT_EQ(a.at(1), std::pair(Fate::kDuplicate, a.at(0).second));
  EXPECT_EQ(b.at(0), std::pair(Fate::kDuplicate, a.at(0).second));
  EXPECT_EQ(b.at(1).first, Fate::kRefused);
  h.core.on_store_restarted();  // nothing of it lies in Redis
  publish("c", {named("1")});
  EXPECT_EQ(only_fate("c").first, Fate::kDuplicate);
}

class SwitchedOff : public Duplicates {
 protected:
  SwitchedOff() : Duplicates({.dedup_window = Duration::zero()}) {}
};

TEST_F(SwitchedOff, IdsAreNotLookedAtAndKeysAreRefused) {
  publish("a", {named("1"), named("1"), keyed("k")});
  EXPECT_EQ(h.waiting_calls<store::Lookup>(), 0u);
  h.answer_all();
  const auto answer = h.answers("a").at(0);
  EXPECT_EQ(fates(answer).at(0).first, Fate::kAccepted);
  EXPECT_EQ(fates(answer).at(1).first, Fate::kAccepted);
  EXPECT_EQ(fates(answer).at(2).first, Fate::kRefused);
  EXPECT_EQ(answer.errors.at(0).code, Refusal::kUnsupported);
  EXPECT_NE(answer.errors.at(0).message.find("dedup_window"), std::string::npos);
}

class Unprotected : public Duplicates {
 protected:
  static CoreOptions options() {
    CoreOptions options;
    options.protections.check_claims = false;
    return options;
  }
  Unprotected() : Duplicates(options()) {}
};

TEST_F(Unprotected, TheSameIdMakesTwoEvents) {
  publish("a", {named("1"), named("1")});
  h.answer_all();
  EXPECT_EQ(h.core.counters().events_accepted, 2u);
}

}  // namespace
}  // namespace fanfare::broker
