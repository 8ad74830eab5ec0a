// Functions that take many deliveries in one call: how they are gathered, and how they end
// together.
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using protocol::Outcome;

protocol::FunctionSpec gathering(const std::string& batch) {
  return Worker::function("f", "[batch]\n" + batch);
}

std::vector<std::size_t> batch_sizes(Worker& w) {
  std::vector<std::size_t> sizes;
  for (const auto& [instance, batches] : w.effects.batches) {
    for (const auto& batch : batches) sizes.push_back(batch.ids.size());
  }
  return sizes;
}

protocol::Delivery after(std::uint64_t entry, Outcome outcome) {
  auto delivery = Worker::delivery(entry);
  delivery.attempt = 2;
  protocol::append_row(delivery.packed_ledger, {.number = 1, .outcome = outcome});
  return delivery;
}

TEST(Batches, WithoutAWindowTakeWhatIsThere) {
  Worker w;
  w.join({gathering("size = 10")});
  w.deliver_entries(1, 3);
  ASSERT_EQ(w.effects.forked.size(), 1u);
  EXPECT_EQ(batch_sizes(w), (std::vector<std::size_t>{3}));
}

TEST(Batches, AreGatheredUntilTheyAreFull) {
  Worker w;
  w.join({gathering("size = 4\nwindow = \"1s\"")});
  w.deliver_entries(1, 3);
  EXPECT_TRUE(w.effects.forked.empty()) << "it waits for a fourth";
  w.deliver_entries(4, 5);
  EXPECT_EQ(batch_sizes(w), (std::vector<std::size_t>{4}));
  EXPECT_LE(w.core->until_next_tick(w.now), 1s);
}

TEST(Batches, AreGatheredNoLongerThanTheirWindow) {
  Worker w;
  w.join({gathering("size = 100\nwindow = \"1s\"")});
  w.deliver_entries(1, 1);
  w.pass(600ms);
  w.deliver_entries(2, 2);
  w.pass(300ms);
  EXPECT_TRUE(w.effects.forked.empty());
  EXPECT_LE(w.core->until_next_tick(w.now), 100ms);
  w.pass(100ms);
  EXPECT_EQ(batch_sizes(w), (std::vector<std::size_t>{2}));
}

TEST(Batches, LargeEventsDoNotWaitForMoreThanFits) {
  Worker w;
  w.join({gathering("size = 100\nwindow = \"1s\"")});
  std::vector<protocol::Delivery> large;
  for (std::uint64_t entry = 1; entry <= 3; ++entry) {
    large.push_back(Worker::delivery(entry));
    large.back().packed_event = std::string(2'500'000, 'x');
  }
  w.deliver(large);
  EXPECT_EQ(batch_sizes(w), (std::vector<std::size_t>{2})) << "three are more than 6 MB";
}

TEST(Batches, AnInvocationWaitsForNobody) {
  Worker w;
  w.join({gathering("size = 100\nwindow = \"1s\"")});
  auto invocation = Worker::delivery(1);
  invocation.origin = protocol::Origin::kInvoke;
  w.deliver({invocation});
  EXPECT_EQ(batch_sizes(w), (std::vector<std::size_t>{1}));
}

TEST(Batches, EachMemberHasItsOwnEnd) {
  Worker w;
  w.join({gathering("size = 3")});
  w.deliver_entries(1, 3);
  const InstanceId instance = w.effects.forked.at(0);
  std::size_t at = 0;
  w.finish(instance, 3, 1ms, [&](ItemResult& r) {
    if (at++ != 1) return;
    r.outcome = Outcome::kFunctionError;
    r.failure = {.type = "Alone", .message = "", .retryable = true, .retry_after_ms = {}};
  });
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].id.entry.ms, 2u);
  std::size_t committed = 0;
  for (const auto& [id, call] : w.effects.commits) {
    for (const auto& group : call.groups) committed += group.items.size();
  }
  EXPECT_EQ(committed, 2u);
}

TEST(Batches, ACrashOfTheCallIsOneOfAllItsMembers) {
  Worker w;
  w.join({gathering("size = 4")});
  w.deliver_entries(1, 4);
  w.now.steady += 400ms;
  w.die(w.effects.forked.at(0));
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 4u);
  for (const auto& row : rows) {
    EXPECT_EQ(row.outcome, Outcome::kCrashed);
    EXPECT_EQ(row.failure.type, "SIGSEGV");
    EXPECT_EQ(row.log_tail, "last words");
  }
}

TEST(Batches, ATimeoutOfTheCallIsOneOfAllItsMembers) {
  Worker w;
  w.join({Worker::function("f", "timeout = \"1s\"\n[batch]\nsize = 2")});
  w.deliver_entries(1, 2);
  const InstanceId instance = w.effects.forked.at(0);
  w.effects.now_running[instance] = {w.effects.batches[instance].front().number, 0, w.now.steady};
  w.pass(1s);
  ASSERT_FALSE(w.effects.kills.empty());
  EXPECT_EQ(w.effects.kills.front().second, SIGTERM);
  w.die(instance, {.code = CLD_KILLED, .status = SIGTERM});
  const auto rows = w.done_rows();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].outcome, Outcome::kTimeout);
  EXPECT_EQ(rows[1].outcome, Outcome::kTimeout);
}

TEST(Batches, WhatMayHaveEndedAProcessIsTriedAlone) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 1});
  w.join({gathering("size = 10")});
  auto failed = after(3, Outcome::kFunctionError);
  w.deliver({Worker::delivery(1), after(2, Outcome::kCrashed), failed, Worker::delivery(4)});
  const InstanceId instance = w.effects.forked.at(0);
  std::vector<std::size_t> sizes;
  for (int i = 0; i < 3; ++i) {
    ASSERT_FALSE(w.effects.batches[instance].empty());
    sizes.push_back(w.effects.batches[instance].front().ids.size());
    w.finish(instance, sizes.back());
  }
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1, 1, 2})) << "one that only failed goes with others";
}

TEST(Batches, CreditIsForWholeBatches) {
  Worker w;
  w.join({gathering("size = 50")});
  EXPECT_GE(w.credit(), 4u * 50u) << "four slots";
}

// The second slot is nobody's as long as the batch is not gathered.
TEST(Batches, ThatAreBeingGatheredKeepNobodyFromASlot) {
  Worker w({.name = "w1", .host = "boot", .pid = 7, .slots = 2});
  w.join({gathering("size = 10\nwindow = \"60s\""), Worker::function("g", "")});
  w.deliver_entries(1, 1);
  w.deliver_entries(2, 3, "g");
  EXPECT_EQ(w.effects.forked.size(), 2u) << "both for g";
}

}  // namespace
}  // namespace fanfare::worker
