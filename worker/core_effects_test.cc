// What a success brings about beside its result.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/caused_event.h"
#include "store/encode.h"
#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

CoreOptions a_slot() {
  return {.name = "w1", .slots = 1};
}

std::string order(std::uint32_t generation = 0) {
  protocol::Event event;
  event.source = "/shop";
  event.type = "order.placed";
  event.data = "{\"total\":1}";
  event.content_type = "application/json";
  event.options.generation = generation;
  return protocol::pack(event);
}

// Joined, with a function that tells `told`.
void join_telling(Worker& w, const std::string& more = "") {
  w.join({Worker::function("f", "on_success = \"told\"\n" + more)});
}

std::vector<protocol::Delivery> orders(std::uint64_t entry, std::uint16_t count) {
  std::vector<protocol::Delivery> all;
  for (std::uint16_t i = 0; i < count; ++i) {
    all.push_back(Worker::delivery(entry, static_cast<std::uint8_t>(i), count));
    all.back().packed_event = order();
  }
  return all;
}

// It learns that the function takes about 10 µs.
void learn_quick_telling(Worker& w) {
  join_telling(w);
  w.deliver(orders(1, 1));
  w.finish(w.effects.forked[0], 1, 10us);
  w.answer_commits();
  w.done_rows();
}

TEST(WorkerEffects, ASuccessTellsItsDestinationInTheCommit) {
  Worker w(a_slot());
  join_telling(w);
  w.deliver(orders(7, 1));
  w.finish(w.effects.forked[0]);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const auto& item = w.effects.commits[0].second.groups[0].items[0];
  ASSERT_EQ(item.effects.size(), 1u);
  const auto& told = std::get<store::Publish>(item.effects[0]);
  EXPECT_EQ(told.to, "told");
  const auto event = protocol::unpack_event(told.packed_event);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->type, "function.succeeded");
  EXPECT_EQ(event->options.generation, 1u);
  EXPECT_THAT(event->data, ::testing::HasSubstr("\"responsePayload\":\"out\""));
  EXPECT_THAT(event->data, ::testing::HasSubstr("\"requestPayload\":{\"total\":1}"));
}

TEST(WorkerEffects, TheBrokerHearsThatSomethingIsInTheOutbox) {
  Worker w(a_slot());
  join_telling(w);
  w.deliver(orders(7, 1));
  w.finish(w.effects.forked[0]);
  EXPECT_TRUE(w.sent<protocol::Done>().empty());
  w.answer_commits();
  const auto done = w.sent<protocol::Done>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_THAT(done[0].outboxes, ::testing::ElementsAre("f"));
}

TEST(WorkerEffects, AFunctionWithoutDestinationsSaysNothingOfOutboxes) {
  Worker w(a_slot());
  w.join();
  w.deliver(orders(7, 1));
  w.finish(w.effects.forked[0]);
  EXPECT_TRUE(w.effects.commits[0].second.groups[0].items[0].effects.empty());
  w.answer_commits();
  EXPECT_TRUE(w.sent<protocol::Done>().at(0).outboxes.empty());
}

TEST(WorkerEffects, AFailureTellsNobodyHere) {
  Worker w(a_slot());
  join_telling(w, "on_failure = \"other\"\n");
  w.deliver(orders(7, 1));
  w.fail(w.effects.forked[0]);
  EXPECT_TRUE(w.effects.commits.empty());
  EXPECT_TRUE(w.sent<protocol::Done>().at(0).outboxes.empty());
}

TEST(WorkerEffects, AnInvocationTellsNobody) {
  Worker w(a_slot());
  join_telling(w);
  auto invoked = orders(7, 1);
  invoked[0].origin = protocol::Origin::kInvoke;
  w.deliver(invoked);
  w.finish(w.effects.forked[0]);
  EXPECT_TRUE(w.effects.commits.empty());
}

// The handler has published this besides its result.
void finish_publishing(Worker& w, const std::string& packed_event) {
  w.finish(w.effects.forked[0], 1, 1ms, [&](ItemResult& result) {
    result.asked.push_back({Asked::Kind::kPublish, packed_event});
  });
}

TEST(WorkerEffects, WhatAHandlerPublishesIsCommittedWithItsResultOneGenerationOn) {
  Worker w(a_slot());
  w.join();
  auto deliveries = orders(7, 1);
  deliveries[0].packed_event = order(3);
  w.deliver(deliveries);
  finish_publishing(w, order(0));
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const auto& item = w.effects.commits[0].second.groups[0].items[0];
  ASSERT_EQ(item.effects.size(), 1u);
  const auto& published = std::get<store::Publish>(item.effects[0]);
  EXPECT_EQ(published.to, "");
  EXPECT_EQ(protocol::unpack_event(published.packed_event)->options.generation, 4u);
}

TEST(WorkerEffects, AnInvocationThatPublishesIsAnsweredOnceThatIsCommitted) {
  Worker w(a_slot());
  join_telling(w);
  auto invoked = orders(7, 1);
  invoked[0].origin = protocol::Origin::kInvoke;
  w.deliver(invoked);
  finish_publishing(w, order(0));
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const auto& call = w.effects.commits[0].second;
  EXPECT_GT(call.result_ttl_ms, 0) << "its token stays for a while";
  EXPECT_EQ(call.groups.at(0).origin, protocol::Origin::kMemory);
  ASSERT_EQ(call.groups[0].items.at(0).effects.size(), 1u) << "it tells nobody";
  EXPECT_TRUE(store::check(store::Call{call}));
  EXPECT_TRUE(w.done_rows().empty());
  w.answer_commits();
  const auto done = w.sent<protocol::Done>();
  ASSERT_EQ(done.size(), 1u);
  EXPECT_THAT(done[0].outboxes, ::testing::ElementsAre("f"));
  ASSERT_EQ(done[0].rows.size(), 1u);
  EXPECT_FALSE(done[0].rows[0].record.empty());
  EXPECT_EQ(w.core->held(), 0u);
}

TEST(WorkerEffects, CountAgainstWhatOneCallMayCarry) {
  Worker w(a_slot());
  learn_quick_telling(w);
  w.deliver(orders(7, 200));
  while (w.unfinished(w.effects.forked[0]) > 0) w.finish(w.effects.forked[0], 50, 10us);
  w.pass(5ms);
  std::size_t items = 0, calls = 0;
  while (!w.effects.commits.empty()) {
    const auto& groups = w.effects.commits[0].second.groups;
    std::size_t writes = 0;
    for (const auto& group : groups) {
      items += group.items.size();
      for (const auto& item : group.items) writes += 1 + item.effects.size();
    }
    EXPECT_LE(writes, 256u);
    ++calls;
    const auto commit = w.effects.commits[0];
    w.effects.commits.erase(w.effects.commits.begin());
    std::size_t here = 0;
    for (const auto& group : commit.second.groups) here += group.items.size();
    w.core->on_commit_answer(commit.first, {std::vector<store::Verdict>(here, store::Verdict::kOk)},
                             w.now);
    w.turn();
  }
  EXPECT_EQ(items, 200u);
  EXPECT_GE(calls, 2u) << "256 writes make 128 deliveries";
}

TEST(WorkerEffects, StayWithTheirDeliveriesWhenARefusedCallIsTakenApart) {
  Worker w(a_slot());
  learn_quick_telling(w);
  w.deliver(orders(7, 3));
  w.finish(w.effects.forked[0], 3, 10us);
  w.pass(5ms);
  ASSERT_EQ(w.effects.commits.size(), 1u);
  const auto id = w.effects.commits[0].first;
  w.effects.commits.clear();
  w.core->on_commit_failed(id, reject("WRONGTYPE"), w.now);
  w.turn();
  ASSERT_EQ(w.effects.commits.size(), 2u);
  for (const auto& [half, call] : w.effects.commits) {
    for (const auto& group : call.groups) {
      for (const auto& item : group.items) {
        ASSERT_EQ(item.effects.size(), 1u);
        const auto event =
            protocol::unpack_event(std::get<store::Publish>(item.effects[0]).packed_event);
        EXPECT_EQ(event->subject, protocol::to_string(protocol::EventId{group.entry, item.index}));
      }
    }
  }
}

}  // namespace
}  // namespace fanfare::worker
