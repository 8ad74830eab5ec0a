#include "broker/lease_table.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

Lease lease(std::uint64_t seq, std::uint8_t index, std::uint64_t session, std::uint32_t token = 1) {
  Lease made;
  made.delivery.id = {{1, seq}, index};
  made.delivery.entry_size = 256;
  made.session = SessionId{session};
  made.token = {token};
  return made;
}

TEST(LeaseTable, FindsWhatWasLentUntilItIsTaken) {
  LeaseTable leases;
  for (int index = 255; index >= 0; --index)
    leases.grant(lease(7, static_cast<std::uint8_t>(index), 1));
  leases.grant(lease(8, 0, 1));
  EXPECT_EQ(leases.size(), 257u);
  ASSERT_TRUE(leases.find({{1, 7}, 200}));
  EXPECT_EQ(leases.find({{1, 7}, 200})->delivery.id.index, 200);
  EXPECT_EQ(leases.take({{1, 7}, 200}).delivery.id, (protocol::EventId{{1, 7}, 200}));
  EXPECT_FALSE(leases.contains({{1, 7}, 200}));
  EXPECT_TRUE(leases.contains({{1, 7}, 201}));
  EXPECT_FALSE(leases.contains({{1, 9}, 0}));
  EXPECT_EQ(leases.size(), 256u);
}

TEST(LeaseTable, LendsAnewWhatCameBackWhileItsNeighbourStays) {
  LeaseTable leases;
  leases.grant(lease(7, 1, 1));
  for (std::uint32_t token = 1; token < 1000; ++token) {
    leases.grant(lease(7, 2, 1, token));
    EXPECT_EQ(leases.take({{1, 7}, 2}).token.value, token);
  }
  EXPECT_EQ(leases.size(), 1u);
  leases.take({{1, 7}, 1});
  EXPECT_EQ(leases.size(), 0u);
  EXPECT_FALSE(leases.contains({{1, 7}, 1}));
}

TEST(LeaseTable, ReplacesALeaseOfTheSameDelivery) {
  LeaseTable leases;
  leases.grant(lease(7, 1, 1, 5));
  leases.grant(lease(7, 1, 2, 6));
  EXPECT_EQ(leases.size(), 1u);
  EXPECT_EQ(leases.find({{1, 7}, 1})->token.value, 6u);
}

TEST(LeaseTable, KnowsHowManyASessionHolds) {
  LeaseTable leases;
  EXPECT_EQ(leases.held_by(SessionId{1}), 0u);
  for (std::uint8_t index = 0; index < 6; ++index) leases.grant(lease(7, index, 1 + index % 2));
  leases.grant(lease(7, 0, 2));
  leases.take({{1, 7}, 1});
  EXPECT_EQ(leases.held_by(SessionId{1}), 2u);
  EXPECT_EQ(leases.held_by(SessionId{2}), 3u);
  leases.take_all_of(SessionId{2});
  EXPECT_EQ(leases.held_by(SessionId{1}), 2u);
  EXPECT_EQ(leases.held_by(SessionId{2}), 0u);
}

TEST(LeaseTable, GivesBackAllOfASessionInTheOrderOfTheirIds) {
  LeaseTable leases;
  leases.grant(lease(9, 3, 1));
  leases.grant(lease(7, 5, 1));
  leases.grant(lease(7, 2, 1));
  leases.grant(lease(7, 4, 2));
  EXPECT_EQ(leases.count_if([](const Lease& l) { return l.session == SessionId{1}; }), 3u);
  const auto taken = leases.take_all_of(SessionId{1});
  ASSERT_EQ(taken.size(), 3u);
  EXPECT_EQ(taken[0].delivery.id, (protocol::EventId{{1, 7}, 2}));
  EXPECT_EQ(taken[1].delivery.id, (protocol::EventId{{1, 7}, 5}));
  EXPECT_EQ(taken[2].delivery.id, (protocol::EventId{{1, 9}, 3}));
  EXPECT_EQ(leases.size(), 1u);
  EXPECT_TRUE(leases.contains({{1, 7}, 4}));
  EXPECT_FALSE(leases.contains({{1, 9}, 3}));
}

}  // namespace
}  // namespace fanfare::broker
