#include "broker/delivery_queue.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

std::optional<Pending> take(DeliveryQueue& queue) {
  Pending next;
  return queue.take(next) ? std::optional{std::move(next)} : std::nullopt;
}

using protocol::EntryId;
using protocol::EventId;
using protocol::Lane;

const Lane kNormal{4 * 17}, kNormalA{4 * 17 + 1}, kNormalB{4 * 17 + 2}, kUrgent{9 * 17};

std::vector<Pending> entry_of(EntryId entry, std::uint8_t count, Lane lane = kNormal) {
  std::vector<Pending> deliveries;
  for (std::uint8_t i = 0; i < count; ++i) {
    Pending pending;
    pending.id = EventId{entry, i};
    pending.slot = i;
    pending.entry_size = count;
    pending.lane = lane;
    pending.flow = lane.number % 17;
    deliveries.push_back(pending);
  }
  return deliveries;
}

bool offer(DeliveryQueue& queue, EntryId entry, std::uint8_t count, Lane lane = kNormal) {
  auto deliveries = entry_of(entry, count, lane);
  return queue.offer(lane, entry, deliveries);
}

TEST(DeliveryQueue, GivesDeliveriesInJournalOrder) {
  DeliveryQueue queue({});
  offer(queue, {1, 0}, 2);
  offer(queue, {1, 1}, 1);
  EXPECT_EQ(take(queue)->id, (EventId{{1, 0}, 0}));
  EXPECT_EQ(take(queue)->id, (EventId{{1, 0}, 1}));
  EXPECT_EQ(take(queue)->id, (EventId{{1, 1}, 0}));
  EXPECT_FALSE(take(queue));
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(DeliveryQueue, TakesAnEntryOnceWhenAPageBringsItBeforeItsAppendIsAnswered) {
  DeliveryQueue queue({});
  queue.mark_unread(kNormal);
  ASSERT_TRUE(queue.next_page("f", TimePoint{}));
  queue.on_paged(kNormal, {2, 0}, false, entry_of({2, 0}, 3));
  EXPECT_FALSE(offer(queue, {2, 0}, 3));
  EXPECT_EQ(queue.size(), 3u);
  EXPECT_FALSE(queue.has_unread());
  EXPECT_TRUE(offer(queue, {3, 0}, 1));
  EXPECT_EQ(queue.size(), 4u);
}

TEST(DeliveryQueue, LeavesWhatDoesNotFitInTheJournalAndPagesItInOrder) {
  DeliveryQueue queue({.deliveries_max = 4});
  EXPECT_TRUE(offer(queue, {1, 0}, 4));
  EXPECT_FALSE(offer(queue, {2, 0}, 1));
  EXPECT_FALSE(queue.next_page("f", TimePoint{})) << "the window is still full";
  take(queue);
  EXPECT_FALSE(offer(queue, {3, 0}, 1)) << "it would overtake the unread entry";
  take(queue);
  const auto page = queue.next_page("f", TimePoint{});
  ASSERT_TRUE(page);
  EXPECT_EQ(page->after, (EntryId{1, 0}));
  EXPECT_FALSE(queue.next_page("f", TimePoint{})) << "one page at a time";

  auto paged = entry_of({2, 0}, 1);
  paged.push_back(entry_of({3, 0}, 1).front());
  queue.on_paged(kNormal, {3, 0}, /*more=*/false, std::move(paged));
  EXPECT_FALSE(queue.has_unread());
  take(queue);
  EXPECT_TRUE(offer(queue, {4, 0}, 1));
  std::vector<std::uint64_t> order;
  while (auto delivery = take(queue)) order.push_back(delivery->id.entry.ms);
  EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

TEST(DeliveryQueue, AFloodStaysWithinItsByteBound) {
  DeliveryQueue queue({.deliveries_max = 1000000, .bytes_max = 100000});
  for (std::uint64_t i = 1; i < 1000; ++i) offer(queue, {i, 0}, 200);
  EXPECT_LT(queue.bytes(), 200000u);
  EXPECT_TRUE(queue.has_unread());
}

std::size_t bytes_of_one() {
  DeliveryQueue queue({});
  offer(queue, {1, 0}, 1);
  return queue.bytes();
}

// Offers entries of `n` from `entry` on until one is refused, lending `lent` after each.
std::size_t fill(DeliveryQueue& queue, std::uint64_t entry, std::uint8_t n, std::size_t lent,
                 Lane lane = kNormal) {
  for (int entries = 0; entries < 1000 && offer(queue, {entry++, 0}, n, lane); ++entries) {
    for (std::size_t i = 0; i < lent; ++i) take(queue);
  }
  return queue.size();
}

TEST(DeliveryQueue, AWindowThatIsLentFromHoldsMoreThanOneThatRests) {
  DeliveryQueue resting({.deliveries_max = 16});
  EXPECT_EQ(fill(resting, 1, 4, 0), 16u);
  DeliveryQueue running({.deliveries_max = 16});
  const std::size_t held = fill(running, 1, 4, 2);
  EXPECT_GE(held, 4u * 16);
  EXPECT_LT(held, 4u * 16 + 4) << "it is bounded, too";
  EXPECT_TRUE(running.has_unread());
}

TEST(DeliveryQueue, AWindowThatRunsIsBoundedInBytesToo) {
  DeliveryQueue running({.deliveries_max = 1000, .bytes_max = 16 * bytes_of_one()});
  const std::size_t held = fill(running, 1, 4, 2);
  EXPECT_GE(held, 4u * 16);
  EXPECT_LT(held, 4u * 16 + 4);
}

TEST(DeliveryQueue, AWindowThatHasGrownLetsOtherTenantsGoAheadLikeAnyOther) {
  DeliveryQueue running({.deliveries_max = 1000, .bytes_max = 16 * bytes_of_one()});
  const std::size_t held = fill(running, 1, 4, 2);
  ASSERT_GT(held, 2u * 16);
  for (std::uint64_t entry = 2000; entry < 2008; ++entry) {
    auto another = entry_of({entry, 0}, 1);
    another.front().flow = 7;
    EXPECT_FALSE(running.offer(kNormal, {entry, 0}, another));
  }
  EXPECT_EQ(running.size(), held + 8);
}

TEST(DeliveryQueue, AWindowThatIsLentFromASeldomTimeHoldsNoMore) {
  DeliveryQueue queue({.deliveries_max = 16});
  for (std::uint64_t entry = 1; entry <= 4; ++entry) offer(queue, {entry, 0}, 4);
  take(queue);
  EXPECT_TRUE(offer(queue, {5, 0}, 1));
  EXPECT_FALSE(offer(queue, {6, 0}, 1)) << "one of seventeen was lent";
}

TEST(DeliveryQueue, AWindowThatRanAndRestsTakesNoMoreSoon) {
  DeliveryQueue queue({.deliveries_max = 16});
  for (std::uint64_t entry = 1; entry <= 100; ++entry) {
    offer(queue, {entry, 0}, 4);
    for (int i = 0; i < 4; ++i) take(queue);
  }
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_LE(fill(queue, 101, 4, 0), 3u * 16);
}

TEST(DeliveryQueue, ALaneThatIsNotLentFromHoldsNoMoreBecauseAnotherIs) {
  DeliveryQueue queue({.deliveries_max = 16});
  std::size_t low = 0;
  for (std::uint64_t entry = 1; entry < 1000; ++entry) {
    offer(queue, {entry, 0}, 4, kUrgent);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(take(queue)->lane, kUrgent);
    if (!offer(queue, {entry, 1}, 4, kNormal)) break;
    low += 4;
  }
  EXPECT_EQ(low, 16u);
}

// As those do whose key belongs to a retry that falls due: it goes when the lane is read so far.
TEST(DeliveryQueue, WhatWentAheadAndWaitsDoesNotKeepTheRestFromBeingRead) {
  for (const bool by_bytes : {false, true}) {
    DeliveryQueue queue(by_bytes ? WindowLimits{.bytes_max = 2 * sizeof(Pending)}
                                 : WindowLimits{.deliveries_max = 2});
    offer(queue, {1, 0}, 2);
    EXPECT_FALSE(offer(queue, {2, 0}, 1)) << "there is no room";
    auto keyed = entry_of({3, 0}, 2);
    for (Pending& delivery : keyed) {
      delivery.flow = 7;
      delivery.ordered = true;
    }
    EXPECT_FALSE(queue.offer(kNormal, {3, 0}, keyed));
    EXPECT_EQ(queue.size(), 4u) << "two went ahead";
    while (take(queue)) {
    }
    EXPECT_EQ(queue.blocked(), 2u);
    EXPECT_TRUE(queue.next_page("f", TimePoint{})) << by_bytes;
  }
}

// Its key was given to another one meanwhile, so it waits in its window once more.
TEST(DeliveryQueue, WhatWentAheadAndCameBackIsCountedAsBefore) {
  DeliveryQueue queue({.deliveries_max = 2});
  queue.open_keys();
  offer(queue, {1, 0}, 2);
  offer(queue, {2, 0}, 1);
  auto keyed = entry_of({3, 0}, 2);
  for (Pending& delivery : keyed) {
    delivery.flow = 7;
    delivery.ordered = true;
  }
  queue.offer(kNormal, {3, 0}, keyed);
  std::optional<Pending> first;
  while (auto next = take(queue)) {
    if (next->ordered) first = std::move(next);
  }
  ASSERT_TRUE(first);
  EXPECT_TRUE(queue.release_key(first->id));
  queue.put_back(*first);
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_TRUE(queue.next_page("f", TimePoint{})) << "both went ahead";
  for (int left = 1; left >= 0; --left) {
    const auto next = take(queue);
    ASSERT_TRUE(next);
    queue.release_key(next->id);
    EXPECT_EQ(queue.size(), static_cast<std::size_t>(left));
  }
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(DeliveryQueue, WindowsThatRunShareWhatTheyMayHoldBeyondTheirOwn) {
  const auto shared = std::make_shared<std::size_t>(0);
  const std::size_t one = bytes_of_one();
  {
    DeliveryQueue queue({}, shared);
    offer(queue, {1, 0}, 1);
    EXPECT_EQ(*shared, 0u) << "what it may hold by itself does not count";
  }
  const WindowLimits limits{
      .deliveries_max = 1000, .bytes_max = 16 * one, .shared_bytes_max = 40 * one};
  const auto alone = [&] {
    DeliveryQueue queue(limits, shared);
    return fill(queue, 1, 4, 2);
  };
  EXPECT_GE(alone(), 16u + 40);
  EXPECT_EQ(*shared, 0u) << "what it held went with it";
  DeliveryQueue other(limits, shared);
  const std::size_t first = fill(other, 1, 4, 2);
  EXPECT_EQ(*shared, (first - 16) * one);
  EXPECT_LE(alone(), 16u + 4) << "another one holds all that is shared";
  while (take(other)) {
  }
  EXPECT_EQ(*shared, 0u);
  EXPECT_GE(alone(), 16u + 40);
}

TEST(DeliveryQueue, WhatIsSharedIsCountedWhicheverWayDeliveriesLeave) {
  const auto shared = std::make_shared<std::size_t>(0);
  DeliveryQueue queue({.deliveries_max = 1000, .bytes_max = 1}, shared);
  offer(queue, {1, 0}, 1);
  EXPECT_EQ(*shared, queue.bytes() - 1);
  auto lent = *take(queue);
  EXPECT_EQ(*shared, 0u);
  queue.put_back(std::move(lent));
  EXPECT_EQ(*shared, 0u) << "what came back lies in no window";
  queue.take_by_id({{1, 0}, 0});
  for (std::uint64_t entry = 2; entry < 5; ++entry) {
    std::vector<Pending> row = entry_of({entry, 0}, 1);
    queue.push(std::move(row.front()));
  }
  EXPECT_EQ(*shared, queue.bytes() - 1);
  queue.take_by_id({{2, 0}, 0});
  EXPECT_EQ(*shared, queue.bytes() - 1);
  queue.take_if([](const Pending& one) { return one.id.entry.ms == 3; }, 1);
  EXPECT_EQ(*shared, queue.bytes() - 1);
  queue.forget_journal();
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(*shared, 0u);
}

TEST(DeliveryQueue, HigherPrioritiesGoFirstAndPeersTakeTurns) {
  DeliveryQueue queue({});
  offer(queue, {1, 0}, 3, kNormalA);
  offer(queue, {2, 0}, 3, kNormalB);
  offer(queue, {3, 0}, 1, kUrgent);
  EXPECT_EQ(take(queue)->lane, kUrgent);
  EXPECT_EQ(take(queue)->lane, kNormalA);
  EXPECT_EQ(take(queue)->lane, kNormalB);
  EXPECT_EQ(take(queue)->lane, kNormalA);
}

TEST(DeliveryQueue, WhatCameBackGoesFirst) {
  DeliveryQueue queue({});
  offer(queue, {1, 0}, 2);
  auto lent = *take(queue);
  queue.put_back(std::move(lent));
  EXPECT_EQ(take(queue)->id, (EventId{{1, 0}, 0}));
}

TEST(DeliveryQueue, ADeliveryCanBeTakenByItsId) {
  DeliveryQueue queue({});
  offer(queue, {1, 0}, 3);
  EXPECT_TRUE(queue.holds({{1, 0}, 1}));
  EXPECT_EQ(queue.take_by_id({{1, 0}, 1})->slot, 1);
  EXPECT_FALSE(queue.take_by_id({{1, 0}, 1}));
  EXPECT_EQ(queue.size(), 2u);
}

TEST(DeliveryQueue, AfterARestartLanesAreReadFromTheirBeginning) {
  DeliveryQueue queue({});
  queue.mark_unread(kNormal);
  const auto page = queue.next_page("f", TimePoint{});
  ASSERT_TRUE(page);
  EXPECT_EQ(page->after, EntryId{});
  const TimePoint now = TimePoint{} + std::chrono::hours{1};
  constexpr Duration kSoon = std::chrono::milliseconds{50};
  queue.on_page_failed(kNormal, now);
  EXPECT_FALSE(queue.next_page("f", now)) << "not at once: it would fail again";
  EXPECT_TRUE(queue.next_page("f", now + kSoon)) << "a failed page is asked for again";
  queue.on_page_failed(kNormal, now + kSoon);
  EXPECT_FALSE(queue.next_page("f", now + 2 * kSoon)) << "after twice the pause";
  EXPECT_TRUE(queue.next_page("f", now + 3 * kSoon));
}

}  // namespace
}  // namespace fanfare::broker
