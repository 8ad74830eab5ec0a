// Ordering keys: one at a time, in order, whatever becomes of workers, brokers and Redis.
#include <gtest/gtest.h>

#include "broker/core_harness.h"
#include "broker/core_world.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

const CoreWorld::Functions kOne{
    {"f", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n[retry]\nmax_attempts = 2\n"}};

// The next delivery that `worker` was sent; exactly one is expected.
protocol::Delivery only(CoreWorld& world, const std::string& worker = "w") {
  auto delivered = world.delivered(worker);
  EXPECT_EQ(delivered.size(), 1u);
  return delivered.empty() ? protocol::Delivery{} : std::move(delivered.front());
}
std::uint8_t index_of(const protocol::Delivery& delivery) {
  return delivery.id.index;
}

TEST(Order, OneOfAKeyIsLentAtATimeAndInOrder) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 3);
  world.publish_keyed("b");
  auto first = world.delivered();
  ASSERT_EQ(first.size(), 2u) << "one of each key";
  EXPECT_EQ(world.function().queue.blocked(), 2u);
  world.succeed(first[0]);
  const auto second = only(world);
  EXPECT_EQ(index_of(second), 1);
  world.succeed(second);
  EXPECT_EQ(index_of(only(world)), 2);
}

TEST(Order, WithoutTheProtectionAllAreLentAtOnce) {
  CoreOptions options;
  options.protections.keep_key_order = false;
  CoreWorld world(kOne, options);
  world.join();
  world.publish_keyed("a", 3);
  EXPECT_EQ(world.delivered().size(), 3u);
}

TEST(Order, SetsPriorityAndTenantAside) {
  CoreWorld world(kOne);
  protocol::PublishOptions low, high;
  low.ordering_key = high.ordering_key = "a";
  low.priority = 0;
  high.priority = 9;
  high.tenant = "somebody";
  world.publish({low, high});
  world.join();
  EXPECT_EQ(index_of(only(world)), 0);
}

TEST(Order, AFailureKeepsTheKeyUntilItsRetryHasEnded) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  world.fail(only(world));
  EXPECT_TRUE(world.delivered().empty());
  world.pass(10s);
  const auto retry = only(world);
  EXPECT_EQ(index_of(retry), 0);
  EXPECT_EQ(retry.attempt, 2u);
  world.succeed(retry);
  EXPECT_EQ(index_of(only(world)), 1);
  EXPECT_TRUE(world.redis.find("f")->held.empty());
}

TEST(Order, OneThatIsBeingCancelledGoesBeforeTheNextOne) {
  CoreHarness h;
  h.join();
  protocol::PublishOptions keyed;
  keyed.ordering_key = "a";
  h.publish(1, {h.event(keyed), h.event(keyed), h.event(keyed)});
  h.answer_all();
  const auto first = h.delivered();
  ASSERT_EQ(first.size(), 1u);
  h.admin("cancel",
          R"({"id":")" + protocol::to_string(protocol::EventId{first[0].id.entry, 1}) + R"("})");
  h.done(h.ok_row(first[0]));
  EXPECT_TRUE(h.delivered().empty()) << "Redis has not ended the second yet: it may still run";
  h.answer_all();
  const auto next = h.delivered();
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].id.index, 2);
}

TEST(Order, ADeadLetterLetsTheNextOneGo) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  world.fail(only(world));
  world.pass(10s);
  world.fail(only(world));
  EXPECT_EQ(world.redis.find("f")->dead.size(), 1u);
  EXPECT_EQ(index_of(only(world)), 1);
  EXPECT_TRUE(world.redis.find("f")->held.empty());
}

TEST(Order, AVanishedWorkersDeliveryKeepsItsKey) {
  CoreWorld world(kOne);
  world.join("w1");
  world.publish_keyed("a", 2);
  const auto lost = only(world, "w1");
  world.die("w1");
  world.join("w2");
  const auto again = only(world, "w2");
  EXPECT_EQ(again.id, lost.id);
  world.succeed(again, "w2");
  EXPECT_EQ(index_of(only(world, "w2")), 1);
}

TEST(Order, WhatADrainingWorkerHandsBackKeepsItsKey) {
  CoreWorld world(kOne);
  world.join("w1");
  world.publish_keyed("a", 2);
  const auto first = only(world, "w1");
  world.hand_back(first, "w1");
  world.join("w2");
  EXPECT_EQ(only(world, "w2").id, first.id);
}

TEST(Order, AfterARestartARetryThatIsNotDueStillHoldsItsKey) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  const auto first = only(world);
  world.fail(first);
  world.start_broker();
  world.join();
  EXPECT_TRUE(world.delivered().empty());
  world.pass(10s);
  EXPECT_EQ(only(world).id, first.id);
}

TEST(Order, AfterARestartKeysWaitForTheWorkersThatWereThere) {
  CoreWorld world(kOne);
  world.join("w1");
  world.join("w2");
  world.publish_keyed("a", 2);
  world.publish({{}});
  const auto running = world.delivered("w1").empty() ? "w2" : "w1";
  const std::string other = running == std::string{"w1"} ? "w2" : "w1";
  world.start_broker();
  world.join(other);
  world.pass(1s);
  auto lent = world.delivered(other);
  ASSERT_EQ(lent.size(), 1u) << "what has no key has waited for 300 ms";
  EXPECT_EQ(lent[0].lane, protocol::kDefaultLane);
  world.pass(25s);
  EXPECT_TRUE(world.delivered(other).empty());
  world.feed(other, protocol::Heartbeat{});
  world.pass(5s);
  EXPECT_EQ(world.delivered(other).size(), 1u) << "a lease is over";
  const auto known = world.redis.call(store::ListWorkers{});
  EXPECT_EQ(std::get<store::WorkerList>(*known).names, std::vector<std::string>{other});
}

TEST(Order, AfterARestartTheKeyIsWithWhatTheWorkerNames) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  const auto first = only(world);
  world.start_broker();
  world.join("w", {CoreWorld::held(first)});
  world.pass(1s);
  EXPECT_TRUE(world.delivered().empty());
  world.succeed(first);
  EXPECT_EQ(index_of(only(world)), 1);
}

// A worker that was cut off commits a retry's row; the broker that took over has never lent it.
TEST(Order, AHolderThatEndsUnheardLetsTheNextOneGo) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  world.fail(only(world));
  world.pass(10s);
  const auto retry = only(world);  // goes on at a worker that is not heard of any more
  ASSERT_EQ(retry.attempt, 2u);
  world.start_broker();
  world.commit(retry);
  world.join("another");
  for (int i = 0; i < 4; ++i) {
    world.pass(10s);
    world.feed("another", protocol::Heartbeat{});
  }
  EXPECT_EQ(index_of(only(world, "another")), 1);
}

// A former broker that stood still heard of its end, and lent the next one before it found out that
// it had been followed. What this broker has read of the first one is out of date then.
void expect_only_the_second_goes_on(CoreWorld& world, const protocol::Delivery& first,
                                    bool late = true) {
  world.start_broker();
  // A lease is over, so the first one may go as soon as there is a worker; or the keys are not open
  // yet, and it waits with the others.
  if (late) world.pass(31s);
  auto second = first;
  second.id.index = 1;
  second.origin = protocol::Origin::kJournal;
  world.commit(first);
  world.join("w", {CoreWorld::held(second)});
  EXPECT_TRUE(world.delivered().empty()) << "the first one once more";
  world.pass(1s);
  EXPECT_TRUE(world.delivered().empty());
  world.succeed(second);
  EXPECT_EQ(index_of(only(world)), 2);
}

TEST(Order, WhatHasEndedUnheardDoesNotRunOnceMoreBehindItsSuccessor) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 3);
  expect_only_the_second_goes_on(world, only(world));
}

TEST(Order, WhatHasEndedUnheardDoesNotRunOnceMoreAlsoBeforeKeysAreOpen) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 3);
  expect_only_the_second_goes_on(world, only(world), false);
}

// Nothing of it lies in the journal, so nothing will be read.
TEST(Order, AFunctionWithoutAJournalIsReadAnewAtOnce) {
  CoreWorld world(kOne);
  world.join();
  world.core->on_store_restarted();
  world.run();
  EXPECT_FALSE(world.function().reading_again);
  world.publish({{}});
  world.succeed(only(world));
  EXPECT_TRUE(world.function().ended_while_paging.empty());
}

// Its worker commits it and dies, while the journal is being read anew.
TEST(Order, AKeyIsNotKeptByWhatHasEndedWhileItWasReadAnew) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  const auto first = only(world);
  world.core->on_store_restarted();
  world.commit(first);
  world.die();
  world.run();
  world.join("other");
  world.pass(1s);
  EXPECT_EQ(index_of(only(world, "other")), 1);
}

TEST(Order, ARetryThatHasEndedUnheardDoesNotRunOnceMoreBehindItsSuccessor) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 3);
  world.fail(only(world));
  world.pass(10s);
  expect_only_the_second_goes_on(world, only(world));
}

TEST(Order, WhatIsReadAnewIsNotLentUnderATokenOnceMore) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a");
  world.publish({{}});
  const auto lent = world.delivered();
  ASSERT_EQ(lent.size(), 2u);
  for (const auto& one : lent) world.hand_back(one);
  world.core->on_store_restarted();
  world.run();
  world.pass(1s);
  const auto again = world.delivered();
  ASSERT_EQ(again.size(), 2u);
  for (const auto& one : again) EXPECT_GT(one.token, lent[0].token);
}

// The same while the row is not due: nobody will ever read it.
TEST(Order, AHolderThatVanishesFromLaterLetsTheNextOneGo) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  const auto first = only(world);
  world.fail(first);
  auto late = first;
  late.origin = protocol::Origin::kLater;
  world.commit(late);
  world.pass(10s);
  EXPECT_EQ(index_of(only(world)), 1);
}

TEST(Order, RedisHasTheSayOfWhoHoldsAKeyAfterItsRestart) {
  CoreWorld world(kOne);
  world.join();
  world.publish_keyed("a", 2);
  world.fail(only(world));
  world.core->on_store_restarted();
  world.run();
  EXPECT_TRUE(world.delivered().empty()) << "the row is there";
  auto late = protocol::Delivery{};
  late.id = world.redis.find("f")->later.begin()->first;
  late.origin = protocol::Origin::kLater;
  late.token = {7};
  world.commit(late);
  world.core->on_store_restarted();
  world.run();
  EXPECT_EQ(index_of(only(world)), 1) << "it is gone";
}

TEST(Order, WhatWasReadAnewIsLentInOrderOnce) {
  CoreWorld world(kOne, {.window = {.deliveries_max = 4}});
  world.publish_keyed("a", 3);
  world.publish_keyed("a", 3);
  world.publish_keyed("a", 3);
  world.join();
  std::vector<protocol::EventId> order;
  auto next = world.delivered();
  while (!next.empty()) {
    ASSERT_EQ(next.size(), 1u);
    order.push_back(next[0].id);
    if (order.size() == 4) {
      world.core->on_store_restarted();
      world.run();
    }
    world.succeed(next[0]);
    next = world.delivered();
  }
  EXPECT_EQ(order.size(), 9u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
  EXPECT_TRUE(world.function().queue.keys().empty());
}

TEST(Order, ADelayedEventTakesItsPlaceWhenItIsDue) {
  CoreWorld world(kOne);
  world.join();
  protocol::PublishOptions delayed, at_once;
  delayed.ordering_key = at_once.ordering_key = "a";
  delayed.delay = 5000;
  world.publish({delayed, at_once, at_once});
  const auto first = only(world);
  EXPECT_EQ(index_of(first), 1) << "what lies ahead holds nothing";
  world.pass(6s);
  EXPECT_TRUE(world.delivered().empty());
  world.succeed(first);
  EXPECT_EQ(index_of(only(world)), 2);
}

// The delayed one runs when the broker is replaced; its row says nothing of a key.
TEST(Order, ADelayedEventThatRunsHasItsKeyAlsoAfterARestart) {
  CoreWorld world(kOne);
  world.join();
  protocol::PublishOptions delayed, at_once;
  delayed.ordering_key = at_once.ordering_key = "a";
  delayed.delay = 1000;
  world.publish({delayed});
  world.pass(2s);
  const auto running = only(world);
  world.publish({at_once});
  world.start_broker();
  world.join("w", {CoreWorld::held(running)});
  world.pass(1s);
  EXPECT_TRUE(world.delivered().empty());
  world.succeed(running);
  EXPECT_EQ(world.delivered().size(), 1u);
}

// The former broker lent it after this one had begun, when it was due, and found out later.
TEST(Order, ADelayedEventThatAFormerBrokerLentLateHasItsKeyToo) {
  CoreWorld world(kOne);
  world.join();
  protocol::PublishOptions delayed, at_once;
  delayed.ordering_key = at_once.ordering_key = "a";
  delayed.delay = 2000;
  world.publish({delayed});
  const auto id = world.redis.find("f")->later.begin()->first;
  world.start_broker();
  world.publish({at_once});
  world.pass(1999ms);
  world.now.steady += 5ms;
  world.now.wall += 5ms;
  world.join("w", {{"f", id, protocol::make_token(world.core->epoch() - 1, 1)}});
  EXPECT_TRUE(world.delivered().empty());
  world.pass(1s);
  EXPECT_TRUE(world.delivered().empty());
}

TEST(Order, ALaneFullOfWaitingOnesStallsAndOtherLanesGoOn) {
  CoreWorld world(kOne, {.window = {.deliveries_max = 8}});
  world.publish_keyed("a", 200);
  world.publish(std::vector<protocol::PublishOptions>(50));
  world.join();
  EXPECT_LE(world.function().queue.size(), 400u);
  std::size_t without = 0, with = 0;
  for (auto next = world.delivered(); !next.empty(); next = world.delivered()) {
    for (const auto& delivery : next) {
      ++(delivery.lane == protocol::kDefaultLane ? without : with);
      world.succeed(delivery);
    }
  }
  EXPECT_EQ(without, 50u);
  EXPECT_EQ(with, 200u);
}

// Rows of one key that are due together do not keep the one that has the key from being read.
TEST(Order, ManyRowsThatWaitForAKeyLeaveRoomForItsHolder) {
  CoreWorld world(kOne);
  world.join("w", {}, 100'000);
  world.publish_keyed("a");
  const auto holder = only(world);
  protocol::PublishOptions delayed;
  delayed.ordering_key = "a";
  delayed.delay = 100;
  for (int i = 0; i < 12; ++i) {
    world.publish(std::vector<protocol::PublishOptions>(250, delayed));
  }
  world.pass(1s);
  world.pass(1s);
  EXPECT_LE(world.function().later.size(), 1300u);
  world.fail(holder);
  std::size_t ended = 0;
  for (int i = 0; i < 100 && ended < 3001; ++i) {
    world.pass(100ms);
    for (auto next = world.delivered(); !next.empty(); next = world.delivered()) {
      ASSERT_EQ(next.size(), 1u);
      world.succeed(next[0]);
      ++ended;
    }
  }
  EXPECT_EQ(ended, 3001u);
}

// Two rows of one key; there was no room for the first one when it was read, and its key is free
// when the second one is.
TEST(Order, ARowDoesNotOvertakeOneThatWasLeftInLater) {
  CoreOptions options;
  options.later.rows_max = 8;  // one of them may wait for its key
  options.later.page_rows = 1;
  CoreWorld world(kOne, options);
  world.join();
  const auto delayed = [](const std::string& key, std::int64_t delay) {
    protocol::PublishOptions one;
    one.ordering_key = key;
    one.delay = delay;
    return one;
  };
  world.publish_keyed("a");
  const auto holder_of_a = only(world);
  world.publish_keyed("b");
  const auto holder_of_b = only(world);
  world.publish({delayed("b", 1000), delayed("a", 1001), delayed("a", 5000)});
  world.pass(2s);
  EXPECT_EQ(world.function().later.size(), 1u) << "that of b";
  world.succeed(holder_of_a);
  world.pass(5s);
  EXPECT_TRUE(world.delivered().empty()) << "the second one of a waits for the first";
  world.succeed(holder_of_b);
  for (const int expected : {0, 1, 2}) {
    world.pass(100ms);
    const auto next = only(world);
    EXPECT_EQ(index_of(next), expected);
    world.succeed(next);
  }
}

TEST(Order, InClassMemoryToo) {
  CoreWorld world(kOne, {.durability = Durability::kMemory});
  world.join();
  world.publish_keyed("a", 2);
  world.fail(only(world));
  EXPECT_TRUE(world.delivered().empty());
  world.pass(10s);
  const auto retry = only(world);
  EXPECT_EQ(index_of(retry), 0);
  world.succeed(retry);
  EXPECT_EQ(index_of(only(world)), 1);
}

// Two lie in the journal and wait for a worker when a delayed one of their key falls due behind
// them. Then the journal is read from its beginning, here or by the next broker.
TEST(Order, ADueRowDoesNotOvertakeWhatIsReadAnew) {
  for (const bool restarted : {false, true}) {
    CoreWorld world(kOne);
    world.publish_keyed("a", 2);
    protocol::PublishOptions delayed;
    delayed.ordering_key = "a";
    delayed.delay = 1000;
    world.publish({delayed});
    world.pass(2s);
    if (restarted) {
      world.start_broker();
    } else {
      world.core->on_store_restarted();
    }
    world.run();
    world.pass(1s);
    world.join();
    std::vector<protocol::Origin> origins;
    for (int n = 0; n < 3; ++n) {
      const auto next = only(world);
      origins.push_back(next.origin);
      world.succeed(next);
    }
    using enum protocol::Origin;
    EXPECT_EQ(origins, (std::vector{kJournal, kJournal, kLater})) << restarted;
  }
}

// The lane's window is full of what waits for the key: the row must not wait for its being read.
TEST(Order, ADueRowAndAFullWindowDoNotWaitForEachOther) {
  CoreOptions options;
  options.window = {.deliveries_max = 4, .bytes_max = 1u << 20};
  CoreWorld world(kOne, options);
  protocol::PublishOptions delayed;
  delayed.ordering_key = "a";
  delayed.delay = 1000;
  world.publish(std::vector<protocol::PublishOptions>(10, delayed));
  world.pass(2s);
  world.publish_keyed("a", 20);
  world.start_broker();
  world.pass(1s);
  world.join();
  for (int n = 0; n < 30; ++n) world.succeed(only(world));
  EXPECT_EQ(world.function().unfinished(), 0u);
}

// Redis names who keeps a key in slices. Until the last one has come nobody else gets any of them,
// and what is parked meanwhile is not taken for gone.
TEST(Order, KeysAreKnownWhenTheLastSliceOfASurveyHasCome) {
  CoreOptions options;
  CoreWorld world(kOne, options);
  world.redis.holders_at_once = 3;
  world.join();
  for (int key = 0; key < 20; ++key) world.publish_keyed("key " + std::to_string(key), 2);
  const auto first = world.delivered();
  ASSERT_EQ(first.size(), 20u);
  for (const auto& delivery : first) world.fail(delivery);
  world.start_broker();
  world.join();
  EXPECT_TRUE(world.delivered().empty()) << "each key waits for its retry";
  EXPECT_EQ(world.redis.find("f")->held.size(), 20u);
  world.core->on_store_restarted();
  world.run();
  EXPECT_TRUE(world.delivered().empty());
  std::set<protocol::EventId> retried;
  for (int second = 0; second < 10; ++second) {
    world.pass(1s);
    for (const auto& delivery : world.delivered()) {
      if (delivery.attempt == 2) retried.insert(delivery.id);
      EXPECT_TRUE(delivery.attempt == 2 || retried.size() > 0);
      world.succeed(delivery);
    }
  }
  EXPECT_EQ(retried.size(), 20u);
  EXPECT_EQ(world.function().unfinished(), 0u);
}

}  // namespace
}  // namespace fanfare::broker
