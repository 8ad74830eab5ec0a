// What deliveries published when they ended, on its way through the broker.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/core_harness.h"
#include "broker/core_world.h"
#include "broker/event_times.h"
#include "broker/metrics.h"
#include "store/model_store.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::DeadReason;
using protocol::EntryId;

const CoreHarness::Functions kChain = {
    {"f",
     "on_failure = \"told\"\n[retry]\nprofile = \"none\"\n[[on]]\npattern = "
     "'{\"type\":[\"t\"]}'\n"},
    {"told", ""},
    {"typed", "[[on]]\npattern = '{\"type\":[\"made.up\"]}'\n"}};

std::string caused_event(std::string type = "made.up", std::uint32_t generation = 1) {
  protocol::Event event;
  event.source = "/functions/f";
  event.type = std::move(type);
  event.options.generation = generation;
  return protocol::pack(event);
}

store::OutboxPage page_of(std::vector<store::OutboxPage::Entry> entries, bool more = false) {
  return {std::move(entries), more};
}

class CoreOutbox : public ::testing::Test {
 protected:
  explicit CoreOutbox(CoreOptions options = {}) : h(kChain, std::move(options)) {}

  // A worker says that a commit of f has left something in its outbox.
  void say_so() { h.feed("w", protocol::Done{++number_, {}, {}, {"f"}}); }
  // … and the broker finds this there.
  void find(std::vector<store::OutboxPage::Entry> entries) {
    say_so();
    auto [ticket, read] = h.take_call<store::ReadOutbox>();
    EXPECT_EQ(read.function, "f");
    h.answer(ticket, page_of(std::move(entries)));
  }
  std::vector<protocol::Delivery> lent_to(const std::string& function) {
    h.credit(1000, "w", function);
    return h.delivered();
  }

  CoreHarness h;
  std::uint64_t number_ = 0;
};

TEST_F(CoreOutbox, APublishedEventIsAppendedAndDeletedInOneCall) {
  h.join();
  find({{{7, 0}, "", caused_event()}, {{7, 1}, "told", caused_event("x")}});
  const auto [ticket, append] = h.take_call<store::Append>();
  ASSERT_EQ(append.taken.size(), 2u);
  EXPECT_EQ(append.taken[0], (store::OutboxEntry{"f", {7, 0}}));
  EXPECT_EQ(append.taken[1], (store::OutboxEntry{"f", {7, 1}}));
  ASSERT_EQ(append.streams.size(), 2u);
  EXPECT_EQ(append.streams[0].function, "typed");
  EXPECT_EQ(append.streams[1].function, "told");
  EXPECT_TRUE(append.guards.empty());
  EXPECT_TRUE(lent_to("typed").empty()) << "not before Redis has answered";
  h.answer(ticket, store::Appended{});
  EXPECT_EQ(lent_to("told").size() + h.delivered().size(), 2u);
  EXPECT_EQ(h.core.counters().events_caused, 2u);
}

// What a handler names may be anything: nothing is made for a name that nobody has.
TEST_F(CoreOutbox, WhatAHandlerNamesReachesThatFunctionOrNobody) {
  h.join();
  const auto to = [](std::string name) {
    protocol::Event event;
    event.source = "/functions/f";
    event.type = "made.up";
    event.options.generation = 1;
    event.options.to = std::move(name);
    return protocol::pack(event);
  };
  find({{{7, 0}, "", to("told")}, {{7, 1}, "", to("nobody")}});
  const auto [ticket, append] = h.take_call<store::Append>();
  ASSERT_EQ(append.taken.size(), 2u);
  ASSERT_EQ(append.streams.size(), 1u);
  EXPECT_EQ(append.streams[0].function, "told");
  h.answer(ticket, store::Appended{});
  EXPECT_FALSE(h.core.functions().contains("nobody"));
  EXPECT_EQ(h.core.counters().events_caused_unmatched, 1u);
}

TEST_F(CoreOutbox, WhatBecameEventsIsCountedByWhosOutboxItWas) {
  const auto told = [&](std::string_view function) {
    const std::string line =
        fmt::format("fanfare_outbox_published_total{{function=\"{}\"}} ", function);
    const std::string text = metrics_text(h.core, h.now);
    const std::size_t at = text.find(line);
    return at == text.npos ? std::string{} : text.substr(at + line.size(), 1);
  };
  h.join();
  find({{{7, 0}, "told", caused_event()}, {{7, 1}, "told", caused_event()}});
  const auto refused = h.take_call<store::Append>().first;
  h.answer(refused, retry_later("OOM"));
  EXPECT_EQ(told("f"), "0") << "what Redis has refused is none";
  h.pass(1s);
  h.answer(h.take_call<store::ReadOutbox>().first,
           page_of({{{7, 0}, "told", caused_event()}, {{7, 1}, "told", caused_event()}}));
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  EXPECT_EQ(told("f"), "2");
  EXPECT_EQ(told("told"), "0");
  EXPECT_EQ(told(store::kTriggers), "0");
}

TEST_F(CoreOutbox, WhatIsInHandIsNotTakenTwice) {
  h.join();
  find({{{7, 0}, "told", caused_event()}});
  find({{{7, 0}, "told", caused_event()}});
  EXPECT_EQ(h.waiting_calls<store::Append>(), 1u);
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  EXPECT_EQ(h.waiting_calls<store::Append>(), 0u);
}

TEST_F(CoreOutbox, ARefusedAppendLeavesItInTheOutboxAndItIsReadAgain) {
  h.join();
  find({{{7, 0}, "told", caused_event()}});
  h.answer(h.take_call<store::Append>().first, retry_later("OOM"));
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u) << "Redis is given a moment";
  h.pass(1s);
  auto [ticket, read] = h.take_call<store::ReadOutbox>();
  EXPECT_EQ(read.after, EntryId{});
  h.answer(ticket, page_of({{{7, 0}, "told", caused_event()}}));
  h.answer(h.take_call<store::Append>().first, store::Appended{true});
  EXPECT_EQ(lent_to("told").size(), 1u);
}

TEST_F(CoreOutbox, ABrokerThatTakesOfficeLooksIntoAllOutboxes) {
  h.join();
  h.pass(1s);
  auto [ticket, count] = h.take_call<store::CountOutboxes>();
  EXPECT_THAT(count.functions, ::testing::ElementsAre("f", "told", "typed", "@triggers"));
  h.answer(ticket, store::OutboxCounts{{3, 0, 0, 0}});
  EXPECT_EQ(h.take_call<store::ReadOutbox>().second.function, "f");
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u);
}

TEST_F(CoreOutbox, WhatTriggersLeaveInTheirsBecomesEventsToo) {
  h.join();
  h.pass(1s);
  h.answer(h.take_call<store::CountOutboxes>().first, store::OutboxCounts{{0, 0, 0, 1}});
  auto [ticket, read] = h.take_call<store::ReadOutbox>();
  EXPECT_EQ(read.function, store::kTriggers);
  h.answer(ticket, page_of({{{7, 0}, "", caused_event("made.up", 0)}}));
  const auto [appending, append] = h.take_call<store::Append>();
  ASSERT_EQ(append.taken.size(), 1u);
  EXPECT_EQ(append.taken[0], (store::OutboxEntry{std::string(store::kTriggers), {7, 0}}));
  h.answer(appending, store::Appended{});
  EXPECT_EQ(lent_to("typed").size(), 1u);
  EXPECT_FALSE(h.core.functions().contains(std::string(store::kTriggers))) << "it is no function";
}

TEST_F(CoreOutbox, OfTriggersIsLookedIntoWithEveryTickOnceTheyHaveFired) {
  h.join();
  h.pass(1s);
  auto [ticket, count] = h.take_call<store::CountOutboxes>();
  h.pass(100ms);
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u);
  h.answer(ticket, store::OutboxCounts{{0, 0, 0, 1}});
  h.answer(h.take_call<store::ReadOutbox>().first,
           page_of({{{7, 0}, "", caused_event("made.up", 0)}}));
  h.pass(100ms);
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u) << "not while something of it is in hand";
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  h.pass(100ms);
  auto [reading, read] = h.take_call<store::ReadOutbox>();
  EXPECT_EQ(read.function, store::kTriggers);
  EXPECT_EQ(read.after, EntryId{});
  h.pass(100ms);
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u) << "one at a time";
}

TEST_F(CoreOutbox, IsReadPageByPage) {
  h.join();
  say_so();
  h.answer(h.take_call<store::ReadOutbox>().first,
           page_of({{{7, 0}, "told", caused_event()}}, true));
  auto [ticket, read] = h.take_call<store::ReadOutbox>();
  EXPECT_EQ(read.after, (EntryId{7, 0}));
  h.answer(ticket, page_of({{{7, 1}, "told", caused_event()}}));
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u);
  EXPECT_EQ(h.take_call<store::Append>().second.taken.size(), 1u)
      << "the second waits for the first";
}

TEST_F(CoreOutbox, AnEntryThatCannotBeReadStaysAndStopsNoOther) {
  h.join();
  find({{{7, 0}, "", "junk"}, {{7, 1}, "told", caused_event()}});
  const auto append = h.take_call<store::Append>().second;
  ASSERT_EQ(append.taken.size(), 1u);
  EXPECT_EQ(append.taken[0].id, (EntryId{7, 1}));
  EXPECT_EQ(h.core.counters().outbox_unreadable, 1u);
}

struct WithRoomForTwo : CoreOutbox {
  static CoreOptions options() {
    CoreOptions options;
    options.queue_max = 2;
    return options;
  }
  WithRoomForTwo() : CoreOutbox(options()) {}
};

TEST_F(WithRoomForTwo, WhatFindsAFullQueueStaysInTheOutboxUntilThereIsRoom) {
  h.join();
  find({{{7, 0}, "told", caused_event()},
        {{7, 1}, "told", caused_event()},
        {{7, 2}, "told", caused_event()},
        {{7, 3}, "", caused_event()}});
  const auto [first, append] = h.take_call<store::Append>();
  EXPECT_THAT(append.taken, ::testing::ElementsAre(store::OutboxEntry{"f", {7, 0}},
                                                   store::OutboxEntry{"f", {7, 1}},
                                                   store::OutboxEntry{"f", {7, 3}}));
  EXPECT_EQ(h.core.counters().outbox_deferred, 1u);
  h.answer(first, store::Appended{});
  // While there is no room, it is looked for at ever longer intervals.
  for (const auto rest : {50ms, 100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    h.pass(rest - 1ms);
    ASSERT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u) << rest.count();
    h.pass(1ms);
    h.answer(h.take_call<store::ReadOutbox>().first, page_of({{{7, 2}, "told", caused_event()}}));
    ASSERT_EQ(h.waiting_calls<store::Append>(), 0u);
  }
  for (const auto& delivery : lent_to("told")) h.done(h.ok_row(delivery, "told"));
  h.pass(1s);
  h.answer(h.take_call<store::ReadOutbox>().first, page_of({{{7, 2}, "told", caused_event()}}));
  EXPECT_EQ(h.take_call<store::Append>().second.taken[0].id, (EntryId{7, 2}));
}

TEST_F(CoreOutbox, AFunctionWhoseOutboxIsFullIsNotLentAnyMore) {
  h.join();
  h.pass(1s);
  h.answer(h.take_call<store::CountOutboxes>().first, store::OutboxCounts{{100'000, 0, 0, 0}});
  h.publish(1, {CoreHarness::event()});
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  EXPECT_TRUE(h.delivered().empty());
  h.pass(1s);
  h.answer(h.take_call<store::CountOutboxes>().first, store::OutboxCounts{{99'999, 0, 0, 0}});
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST_F(CoreOutbox, AFailureIsToldInTheStepThatBuriesIt) {
  h.join();
  h.publish(1, {CoreHarness::event("t", "{\"n\":1}")});
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  const auto delivery = h.delivered().at(0);
  h.done(h.failed_row(delivery));
  const auto [ticket, bury] = h.take_call<store::Bury>();
  ASSERT_EQ(bury.items.at(0).effects.size(), 1u);
  const auto& told = std::get<store::Publish>(bury.items[0].effects[0]);
  EXPECT_EQ(told.to, "told");
  const auto event = protocol::unpack_event(told.packed_event);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, "function.failed");
  EXPECT_EQ(event->options.generation, 1u);
  const auto record = nlohmann::json::parse(event->data);
  EXPECT_EQ(record["requestContext"]["condition"], "RetriesExhausted");
  EXPECT_EQ(record["requestContext"]["approximateInvokeCount"], 1);
  EXPECT_EQ(record["requestPayload"]["n"], 1);
  EXPECT_EQ(record["responsePayload"]["errorType"], "TestError");
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 0u);
  h.answer(ticket, store::Moved{{store::Verdict::kOk}});
  EXPECT_EQ(h.waiting_calls<store::ReadOutbox>(), 1u);
}

TEST_F(CoreOutbox, WhatADestinationThatIsNotThereShouldGetIsADeadLetterOfThatName) {
  h.join();
  find({{{7, 0}, "nobody", caused_event()}});
  const auto [ticket, append] = h.take_call<store::Append>();
  EXPECT_TRUE(append.streams.empty()) << "no journal of that name ever has it";
  EXPECT_EQ(append.delayed.at(0).function, "nobody");
  const auto item = append.delayed[0].items.at(0);
  h.answer(h.take_call<store::Survey>().first, store::Surveyed{});
  h.answer(ticket, store::Appended{});
  store::DueRows::Row row;
  row.id = {append.entry, item.index};
  row.due_ms = item.due_ms;
  row.accepted_ms = item.accepted_ms;
  row.packed_event = item.packed_event.str();
  h.answer(h.take_call<store::Due>().first, store::DueRows{{row}, std::nullopt});
  const auto bury = h.take_call<store::Bury>().second;
  EXPECT_EQ(bury.function, "nobody");
  EXPECT_EQ(bury.items.at(0).reason, DeadReason::kNoSuchFunction);
  EXPECT_TRUE(bury.items[0].effects.empty());
  EXPECT_EQ(h.core.counters().events_undeliverable, 1u);
}

TEST_F(CoreOutbox, TheSeventeenthGenerationIsBuriedAndTellsNobody) {
  h.join();
  find({{{7, 0}, "f", caused_event("t", 16)}, {{7, 1}, "f", caused_event("t", 17)}});
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  EXPECT_EQ(h.delivered().size(), 1u);
  const auto bury = h.take_call<store::Bury>().second;
  ASSERT_EQ(bury.items.size(), 1u);
  EXPECT_EQ(bury.function, "f");
  EXPECT_EQ(bury.items[0].reason, DeadReason::kRecursion);
  EXPECT_TRUE(bury.items[0].effects.empty());
  EXPECT_EQ(h.core.counters().deliveries_recursive, 1u);
}

TEST_F(CoreOutbox, APublisherDoesNotSayItsGeneration) {
  h.publish(1, {caused_event("t", 3)});
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  const auto answer = h.answers().at(0);
  EXPECT_EQ(answer.errors.at(0).code, protocol::Refusal::kInvalid);
  EXPECT_THAT(answer.errors[0].message, ::testing::HasSubstr("generation"));
}

struct InClassMemory : CoreOutbox {
  static CoreOptions options() {
    CoreOptions options;
    options.durability = Durability::kMemory;
    return options;
  }
  InClassMemory() : CoreOutbox(options()) {}
};

TEST_F(InClassMemory, WhatOutboxesHoldPassesTheJournalAllTheSame) {
  h.join();
  find({{{7, 0}, "told", caused_event()}});
  const auto [ticket, append] = h.take_call<store::Append>();
  EXPECT_EQ(append.taken.size(), 1u);
  EXPECT_EQ(append.streams.size(), 1u);
  h.answer(ticket, store::Appended{});
  EXPECT_EQ(lent_to("told").at(0).origin, protocol::Origin::kJournal);
}

TEST_F(CoreOutbox, IsReadAnewWhenRedisWasRestarted) {
  h.join();
  find({{{7, 0}, "told", caused_event()}});
  h.answer(h.take_call<store::Append>().first, store::Appended{});
  h.core.on_store_restarted();
  h.turn();
  std::vector<EntryId> from;
  while (h.waiting_calls<store::ReadOutbox>() > 0) {
    from.push_back(h.take_call<store::ReadOutbox>().second.after);
  }
  EXPECT_THAT(from, ::testing::ElementsAre(EntryId{}, EntryId{}, EntryId{}, EntryId{}))
      << "those of three functions, and of the triggers";
}

// ---- with the model of Redis: whatever dies in between, each is appended once ----

class Story {
 public:
  // Answers calls by the model, until `stop` says of one, after it was applied, that its answer is
  // lost.
  void run(CoreHarness& h, const std::function<bool(const store::Call&)>& lost) {
    for (int i = 0; i < 100; ++i) {
      bool any = false;
      any |= one<store::CountOutboxes>(h, lost) || one<store::ReadOutbox>(h, lost) ||
             one<store::Append>(h, lost);
      if (!any) return;
    }
  }
  template <typename T>
  bool one(CoreHarness& h, const std::function<bool(const store::Call&)>& lost) {
    if (h.waiting_calls<T>() == 0) return false;
    auto [ticket, call] = h.take_call<T>();
    auto answer = model.call(store::Call{call});
    if (lost(call)) return false;
    h.answer(ticket, std::move(answer));
    return true;
  }

  store::ModelStore model;
};

TEST(CoreOutboxRestart, NoEventIsLostOrDoubledWhereverTheBrokerDies) {
  for (int crash_after = 0; crash_after < 4; ++crash_after) {
    SCOPED_TRACE(crash_after);
    Story story;
    ASSERT_TRUE(story.model.call(store::Begin{}));
    store::Append append{.epoch = 1, .entry = {1000, 0}, .streams = {{"f", {}, {{0, "e"}}}}};
    ASSERT_TRUE(story.model.call(append));
    store::Commit commit{.function = "f", .result_ttl_ms = 1000, .groups = {}};
    commit.groups.push_back({{1000, 0}, {}, protocol::Origin::kJournal, 1, {}});
    commit.groups[0].items.push_back({0, 0, protocol::make_token(1, 1), "r", {}});
    const store::Effect told_once{std::in_place_type<store::Publish>, "told", caused_event()};
    commit.groups[0].items[0].effects.assign(3, told_once);
    ASSERT_TRUE(story.model.call(commit));

    int calls = 0;
    CoreHarness dies(kChain);  // its epoch is 1, as the harness says
    dies.pass(1s);
    story.run(dies, [&](const store::Call&) { return ++calls > crash_after; });

    CoreHarness successor(kChain);
    successor.pass(2s);  // entries of its own
    story.run(successor, [](const store::Call&) { return false; });
    const auto* told = story.model.find("told");
    ASSERT_TRUE(told);
    EXPECT_EQ(told->counts.accepted, 3);
    EXPECT_TRUE(story.model.find("f")->outbox.empty());
  }
}

// The broker dies when such an event has been appended, and before it is buried.
TEST(CoreOutboxRestart, WhatNoFunctionIsThereForIsBuriedAlsoByTheNextBroker) {
  for (const bool deployed_meanwhile : {false, true}) {
    CoreWorld world(CoreHarness::one());
    store::Append append;
    append.epoch = world.core->epoch();
    append.entry = {static_cast<std::uint64_t>(to_ms(world.now.wall)) + 1, 0};
    append.delayed.push_back(
        {"nobody", {{0, kUndeliverableDueMs, to_ms(world.now.wall), caused_event("t")}}});
    ASSERT_TRUE(world.redis.call(append));
    if (deployed_meanwhile) {
      ASSERT_TRUE(world.redis.call(store::Deploy{world.core->epoch(), "nobody",
                                                 CoreHarness::one()["f"], std::string(64, 'd')}));
    }
    world.start_broker();
    world.join();
    if (!deployed_meanwhile) {  // the next event for it, or its deployment, brings it to light
      store::Deploy deploy{world.core->epoch(), "nobody", CoreHarness::one()["f"],
                           std::string(64, 'd')};
      world.feed("operator", protocol::Admin{1, "deploy",
                                             nlohmann::json{{"name", "nobody"},
                                                            {"manifest", deploy.manifest_toml},
                                                            {"digest", deploy.digest}}
                                                 .dump()});
      world.pass(std::chrono::milliseconds{100});
    }
    EXPECT_TRUE(world.delivered().empty()) << "it was for a function that was not there";
    EXPECT_EQ(world.redis.find("nobody")->counts.dead, 1);
    EXPECT_EQ(world.core->counters().events_undeliverable, 1u);
  }
}

}  // namespace
}  // namespace fanfare::broker
