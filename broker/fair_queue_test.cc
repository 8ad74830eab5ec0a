#include "broker/fair_queue.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

namespace fanfare::broker {
namespace {

Pending of_tenant(std::uint64_t tenant, std::uint64_t number, bool ordered = false) {
  Pending pending;
  pending.id = {{number, 0}, 0};
  pending.flow = tenant;
  pending.ordered = ordered;
  return pending;
}

TEST(FairQueue, WithoutTenantsFirstInIsFirstOut) {
  FairQueue queue;
  for (std::uint64_t i = 1; i <= 1000; ++i) queue.push(of_tenant(0, i));
  for (std::uint64_t i = 1; i <= 1000; ++i) ASSERT_EQ(queue.take().id.entry.ms, i);
  EXPECT_TRUE(queue.empty());
}

TEST(FairQueue, WhoComesBesideAFloodGoesNext) {
  FairQueue queue;
  for (std::uint64_t i = 1; i <= 50'000; ++i) queue.push(of_tenant(7, i));
  EXPECT_EQ(queue.take().flow, 7u);
  queue.push(of_tenant(8, 60'000));
  EXPECT_EQ(queue.take().flow, 8u);
  EXPECT_EQ(queue.take().flow, 7u);
  queue.push(of_tenant(0, 60'001));
  queue.push(of_tenant(9, 60'002));
  EXPECT_EQ(queue.take().flow, 0u);
  EXPECT_EQ(queue.take().flow, 9u);
  EXPECT_EQ(queue.take().id.entry.ms, 3u);
}

TEST(FairQueue, TellsWhoComesAnewBesideOthers) {
  FairQueue queue;
  queue.push(of_tenant(8, 1));
  EXPECT_FALSE(queue.has_fresh()) << "it is alone";
  queue.push(of_tenant(8, 2));
  queue.take();
  queue.push(of_tenant(9, 3));
  ASSERT_TRUE(queue.has_fresh());
  EXPECT_TRUE(queue.take_by_id({{3, 0}, 0}));
  EXPECT_FALSE(queue.has_fresh());
  queue.push(of_tenant(9, 4));
  EXPECT_EQ(queue.take_fresh().id.entry.ms, 4u);
  EXPECT_FALSE(queue.has_fresh());
  EXPECT_EQ(queue.take().id.entry.ms, 2u);
  EXPECT_TRUE(queue.empty());
}

TEST(FairQueue, ComingAnewEachTimeGainsNothing) {
  FairQueue queue;
  for (std::uint64_t i = 1; i <= 1000; ++i) {
    queue.push(of_tenant(6, i));
    queue.push(of_tenant(7, i));
  }
  std::map<std::uint64_t, int> taken;
  bool waits = false;
  for (std::uint64_t i = 0; i < 300; ++i) {
    if (!std::exchange(waits, true)) queue.push(of_tenant(8, 10'000 + i));
    const std::uint64_t tenant = queue.take().flow;
    ++taken[tenant];
    if (tenant == 8) waits = false;
  }
  EXPECT_NEAR(taken[8], 100, 2);
  EXPECT_NEAR(taken[6], taken[7], 2);
}

TEST(FairQueue, HoweverManyComeAnewThoseInTurnGetOneInNine) {
  FairQueue queue;
  for (std::uint64_t i = 1; i <= 1000; ++i) queue.push(of_tenant(7, i));
  for (std::uint64_t i = 0; i < 1000; ++i) queue.push(of_tenant(100 + i, 10'000 + i));
  int of_flood = 0;
  EXPECT_EQ(queue.take().flow, 7u);
  for (int i = 0; i < 450; ++i) of_flood += queue.take().flow == 7 ? 1 : 0;
  EXPECT_EQ(of_flood, 50);
}

TEST(FairQueue, EachTenantKeepsItsOwnOrderAndAllGetAsMuch) {
  FairQueue queue;
  std::uint64_t number = 0;
  for (const std::uint64_t tenant : {5u, 5u, 5u, 6u, 5u, 9u, 6u, 5u, 6u, 9u, 9u, 5u}) {
    queue.push(of_tenant(tenant, ++number));
  }
  std::map<std::uint64_t, std::uint64_t> last, taken;
  for (int i = 0; i < 9; ++i) {
    const Pending next = queue.take();
    EXPECT_GT(next.id.entry.ms, std::exchange(last[next.flow], next.id.entry.ms));
    ++taken[next.flow];
  }
  EXPECT_EQ(taken, (std::map<std::uint64_t, std::uint64_t>{{5, 3}, {6, 3}, {9, 3}}));
}

TEST(FairQueue, AllKeysTogetherAreOneTenant) {
  FairQueue queue;
  for (std::uint64_t key = 100; key < 200; ++key) queue.push(of_tenant(key, key, true));
  queue.push(of_tenant(7, 1));
  EXPECT_TRUE(queue.take().ordered);
  EXPECT_EQ(queue.take().flow, 7u);
  EXPECT_EQ(queue.tenants(), 1u);
}

TEST(FairQueue, OneCanBeTakenByItsIdAndSomeDropped) {
  FairQueue queue;
  for (std::uint64_t i = 1; i <= 6; ++i) queue.push(of_tenant(i % 2, i));
  EXPECT_TRUE(queue.find({{4, 0}, 0}));
  EXPECT_EQ(queue.take_by_id({{4, 0}, 0})->flow, 0u);
  EXPECT_FALSE(queue.take_by_id({{4, 0}, 0}));
  queue.erase_if([](const Pending& one) { return one.flow == 1; });
  EXPECT_EQ(queue.tenants(), 1u);
  EXPECT_EQ(queue.take().id.entry.ms, 2u);
  EXPECT_EQ(queue.take().id.entry.ms, 6u);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace fanfare::broker
