// Deliveries that run while the journal is being written.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::Outcome;

// With a worker that has room and takes what is early.
struct EarlyBroker : CoreHarness {
  explicit EarlyBroker(Functions functions = one(), CoreOptions options = {})
      : CoreHarness(std::move(functions), options) {
    join_early();
  }
  void join_early(const std::string& name = "w") {
    feed(name, protocol::Hello{.name = name,
                               .pid = 1,
                               .slots = 4,
                               .state = protocol::WorkerState::kRunning,
                               .early = true});
    credit(1000, name);
    answer_all();
  }
  std::pair<Ticket, store::Append> publish_one(std::uint64_t sequence = 1) {
    publish(sequence, {event()});
    return take_call<store::Append>();
  }
  void refuse(Ticket ticket) {
    answer(ticket, Result<store::Answer>{retry_later("OOM command not allowed")});
  }
  const FunctionState& f() const { return *core.functions().at("f"); }
};

TEST(Early, DeliveriesAreLentBeforeTheJournalHasAnsweredAndTheirPublisherIsAnsweredAfterIt) {
  EarlyBroker h;
  const auto [ticket, append] = h.publish_one();
  const auto delivers = h.take<protocol::Deliver>("w");
  ASSERT_EQ(delivers.size(), 1u);
  EXPECT_TRUE(delivers[0].early);
  EXPECT_TRUE(h.answers().empty());
  EXPECT_TRUE(h.take<protocol::Journaled>("w").empty());

  h.answer(ticket, store::Answer{store::Appended{}});
  const auto journaled = h.take<protocol::Journaled>("w");
  ASSERT_EQ(journaled.size(), 1u);
  EXPECT_EQ(journaled[0].there, std::vector{append.entry});
  EXPECT_TRUE(journaled[0].refused.empty());
  EXPECT_EQ(h.answers().size(), 1u);
  EXPECT_TRUE(h.delivered().empty()) << "once is enough";

  h.done(h.ok_row(delivers[0].deliveries.at(0)));
  EXPECT_EQ(h.f().counts.succeeded, 1);
  EXPECT_EQ(h.f().counts.open, 0);
  EXPECT_TRUE(h.f().early.empty());
}

TEST(Early, OfAnEntryTheJournalRefusesNothingIsLeft) {
  EarlyBroker h;
  const auto [ticket, append] = h.publish_one();
  ASSERT_EQ(h.delivered().size(), 1u);
  h.refuse(ticket);
  const auto journaled = h.take<protocol::Journaled>("w");
  ASSERT_EQ(journaled.size(), 1u);
  EXPECT_EQ(journaled[0].refused, std::vector{append.entry});
  EXPECT_EQ(h.answers().at(0).errors.at(0).code, protocol::Refusal::kQueueFull);
  EXPECT_TRUE(h.f().leases.empty());
  EXPECT_TRUE(h.f().early.empty());
  EXPECT_EQ(h.f().unfinished(), 0u);
}

TEST(Early, WhatComesBackBeforeTheJournalHasItWaitsForThat) {
  EarlyBroker h;
  const auto [ticket, append] = h.publish_one();
  const auto first = h.delivered();
  ASSERT_EQ(first.size(), 1u);
  h.done(h.failed_row(first[0], Outcome::kDrained));
  h.pass(1s);
  EXPECT_TRUE(h.delivered().empty()) << "another one would commit before the journal has it";
  h.answer(ticket, store::Answer{store::Appended{}});
  const auto delivers = h.take<protocol::Deliver>("w");
  ASSERT_EQ(delivers.size(), 1u);
  EXPECT_FALSE(delivers[0].early);
  EXPECT_EQ(delivers[0].deliveries.at(0).id, first[0].id);
}

TEST(Early, IsNothingWhileTheJournalRefuses) {
  EarlyBroker h;
  h.refuse(h.publish_one(1).first);
  ASSERT_EQ(h.delivered().size(), 1u);
  const auto again = h.publish_one(2);
  EXPECT_TRUE(h.delivered().empty()) << "its publisher may try for hours";
  h.answer(again.first, store::Answer{store::Appended{}});
  h.done(h.ok_row(h.delivered().at(0)));
  h.publish_one(3);
  EXPECT_TRUE(h.take<protocol::Deliver>("w").at(0).early);
}

TEST(Early, IsNothingOfAFunctionWithSeveralPrioritiesInTheChunk) {
  EarlyBroker h;
  protocol::PublishOptions high;
  high.priority = 7;
  h.publish(1, {h.event(), h.event(high)});
  EXPECT_TRUE(h.delivered().empty());
}

TEST(Early, WhatComesBackOfARefusedEntryIsForgotten) {
  EarlyBroker h;
  const auto [ticket, append] = h.publish_one();
  h.done(h.failed_row(h.delivered().at(0), Outcome::kDrained));
  h.refuse(ticket);
  h.pass(1s);
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.f().waiting(), 0u);
}

TEST(Early, AWorkerThatDiesMeanwhileTakesNothingWithIt) {
  EarlyBroker h;
  const auto [ticket, append] = h.publish_one();
  ASSERT_EQ(h.delivered().size(), 1u);
  h.core.on_worker_died(h.core.sessions().begin()->first, h.now);
  h.turn();
  h.join_early("v");
  EXPECT_TRUE(h.delivered("v").empty());
  h.answer(ticket, store::Answer{store::Appended{}});
  EXPECT_EQ(h.delivered("v").size(), 1u);
}

TEST(Early, AWorkerThatReportsTooSoonIsNotBelieved) {
  for (const bool failed : {true, false}) {
    EarlyBroker h;
    const auto [ticket, append] = h.publish_one();
    const auto first = h.delivered().at(0);
    h.done(failed ? h.failed_row(first) : h.ok_row(first));
    EXPECT_EQ(h.waiting_calls<store::Postpone>(), 0u) << "Redis might have it before the append";
    EXPECT_EQ(h.f().counts.succeeded, 0);
    h.answer(ticket, store::Answer{store::Appended{}});
    EXPECT_EQ(h.delivered().size(), 1u);
  }
}

TEST(Early, AnOperatorDoesNotFindWhatTheJournalDoesNotHave) {
  EarlyBroker h;
  const auto [ticket, append] = h.publish_one();
  const std::string id = protocol::to_string(h.delivered().at(0).id);
  h.admin("cancel", R"({"function":"f","id":")" + id + R"("})");
  EXPECT_EQ(h.waiting_calls<store::Find>(), 1u) << "Redis is asked, which has nothing";
  EXPECT_EQ(h.f().leases.size(), 1u);
}

TEST(Early, NothingOvertakesWhatWaits) {
  EarlyBroker h;
  h.feed("w", protocol::Credit{{{"f", 1000, false}}});
  CoreHarness full;  // its worker has no room
  full.hello();
  full.publish(1, {full.event()});
  full.answer_all();
  ASSERT_EQ(full.core.functions().at("f")->waiting(), 1u);
  full.feed("v", protocol::Hello{.name = "v", .pid = 2, .slots = 4, .early = true});
  full.publish(2, {full.event()});
  EXPECT_TRUE(full.delivered("v").empty());
}

TEST(Early, IsNothingThatHasAnOrderALimitOrATime) {
  const std::string on = "[[on]]\npattern = '{\"type\":[\"t\"]}'\n";
  protocol::PublishOptions ordered, expires;
  ordered.ordering_key = "k";
  expires.max_age = 60'000;
  const std::vector<std::pair<std::string, std::string>> cases{
      {"max_concurrency = 3\n" + on, CoreHarness::event()},
      {"rate = \"5/s\"\n" + on, CoreHarness::event()},
      {on, CoreHarness::event(ordered)},
      {on, CoreHarness::event(expires)}};
  for (const auto& [toml, event] : cases) {
    EarlyBroker h({{"f", toml}});
    h.publish(1, {event});
    EXPECT_TRUE(h.delivered().empty()) << toml;
    h.answer_all();
    EXPECT_EQ(h.delivered().size(), 1u) << toml;
  }
}

TEST(Early, IsNothingForWorkersThatDoNotKnowIt) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  EXPECT_TRUE(h.delivered().empty());
  h.answer_all();
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Early, IsNothingOfALargeChunkOrWhereItIsOff) {
  EarlyBroker h;
  h.publish(1, std::vector<std::string>(17, h.event()));
  EXPECT_TRUE(h.delivered().empty());
  CoreOptions off;
  off.start_early = false;
  EarlyBroker without(CoreHarness::one(), off);
  without.publish(1, {without.event()});
  EXPECT_TRUE(without.delivered().empty());
}

}  // namespace
}  // namespace fanfare::broker
