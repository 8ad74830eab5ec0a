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
