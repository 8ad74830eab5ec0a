#include "broker/key_table.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using protocol::EventId;

EventId id(std::uint64_t number) {
  return {{number, 0}, 0};
}
Pending keyed(std::uint64_t number, std::uint64_t key = 7,
              protocol::Origin origin = protocol::Origin::kJournal) {
  Pending pending;
  pending.id = id(number);
  pending.flow = key;
  pending.ordered = true;
  pending.origin = origin;
  return pending;
}
KeyTable opened() {
  KeyTable table;
  table.open();
  return table;
}

TEST(KeyTable, OneOfAKeyGoesAndTheNextWhenItHasEnded) {
  KeyTable table = opened();
  EXPECT_TRUE(table.add(keyed(1)));
  EXPECT_FALSE(table.add(keyed(2)));
  EXPECT_FALSE(table.add(keyed(3)));
  EXPECT_TRUE(table.add(keyed(4, 8))) << "another key";
  EXPECT_EQ(table.release(id(1))->id, id(2));
  EXPECT_FALSE(table.release(id(1))) << "twice";
  EXPECT_EQ(table.release(id(2))->id, id(3));
  EXPECT_FALSE(table.release(id(3)));
  EXPECT_FALSE(table.release(id(4)));
  EXPECT_TRUE(table.empty());
}

TEST(KeyTable, AHolderThatComesBackGoesAtOnce) {
  KeyTable table = opened();
  ASSERT_TRUE(table.add(keyed(1)));
  ASSERT_FALSE(table.add(keyed(2)));
  table.park(id(1), 5000);
  EXPECT_EQ(table.add(keyed(1, 7, protocol::Origin::kLater))->id, id(1));
  EXPECT_TRUE(table.parked_if([](const EventId&, std::int64_t) { return true; }).empty());
  EXPECT_EQ(table.waiting(), 1u);
}

TEST(KeyTable, BeforeItIsOpenedEveryoneWaitsAndThenTheFirstOfEachKeyGoes) {
  KeyTable table;
  EXPECT_FALSE(table.add(keyed(1)));
  EXPECT_FALSE(table.add(keyed(2)));
  EXPECT_FALSE(table.add(keyed(3, 8)));
  EXPECT_FALSE(table.add(keyed(4, 9)));
  table.hold(8, id(99));  // a worker has it
  table.hold(9, id(4));   // the one that waits here has it already: its retry is due
  const auto going = table.open();
  ASSERT_EQ(going.size(), 2u);
  EXPECT_EQ(going[0].id, id(1));
  EXPECT_EQ(going[1].id, id(4));
  EXPECT_EQ(table.release(id(99))->id, id(3));
}

TEST(KeyTable, AHolderThatIsReadBeforeTheOpeningGoesBeforeThoseThatWaited) {
  KeyTable table;
  EXPECT_FALSE(table.add(keyed(2)));
  table.hold(7, id(1));
  EXPECT_FALSE(table.add(keyed(1)));
  const auto going = table.open();
  ASSERT_EQ(going.size(), 1u);
  EXPECT_EQ(going[0].id, id(1));
}

TEST(KeyTable, AKeyThatTwoHoldIsFreeWhenBothHaveEnded) {
  KeyTable table = opened();
  table.hold(7, id(1));
  table.hold(7, id(2));
  EXPECT_FALSE(table.add(keyed(3)));
  EXPECT_FALSE(table.release(id(2)));
  EXPECT_EQ(table.release(id(1))->id, id(3));
}

TEST(KeyTable, TellsWhoIsParkedAndGone) {
  KeyTable table = opened();
  table.hold(7, id(1));
  table.park(id(1), 5000);
  table.park(id(2), 5000);  // holds nothing
  const auto before = [](std::int64_t ms) {
    return [ms](const EventId&, std::int64_t due_ms) { return due_ms < ms; };
  };
  EXPECT_TRUE(table.parked_if(before(5000)).empty());
  EXPECT_EQ(table.parked_if(before(5001)), std::vector<EventId>{id(1)});
}

TEST(KeyTable, OneThatWaitsCanBeTakenOutAndPutBackInItsPlace) {
  KeyTable table = opened();
  ASSERT_TRUE(table.add(keyed(1)));
  table.add(keyed(2));
  table.add(keyed(3));
  auto second = table.take_by_id(id(2));
  ASSERT_TRUE(second);
  EXPECT_FALSE(table.put_back(*second));
  EXPECT_EQ(table.release(id(1))->id, id(2));
}

TEST(KeyTable, WhatTheJournalCanGiveBackIsForgottenAndTheRestGoesOn) {
  KeyTable table = opened();
  ASSERT_TRUE(table.add(keyed(1)));
  table.add(keyed(2));
  table.add(keyed(3, 7, protocol::Origin::kLater));
  table.drop(id(1));
  const auto dropped = table.forget_journal();
  ASSERT_EQ(dropped.size(), 1u);
  EXPECT_EQ(dropped[0].id, id(2));
  const auto going = table.promote();
  ASSERT_EQ(going.size(), 1u);
  EXPECT_EQ(going[0].id, id(3));
}

TEST(KeyTable, ARowOfLaterWaitsUntilWhatWasAcceptedBeforeItFellDueHasBeenRead) {
  bool is_read = false;
  KeyTable table([&](const Pending&) { return is_read; });
  table.open();
  Pending row = keyed(9, 7, protocol::Origin::kLater);
  row.due_ms = 100;
  EXPECT_TRUE(table.would_wait(row));
  EXPECT_FALSE(table.add(row));
  EXPECT_EQ(table.add(keyed(50))->id, id(50)) << "first of its key";
  EXPECT_FALSE(table.add(keyed(100))) << "the row's own millisecond";
  EXPECT_FALSE(table.add(keyed(150)));
  EXPECT_EQ(table.release(id(50))->id, id(100)) << "or what was read would wait for more reading";
  EXPECT_FALSE(table.release(id(100)));
  EXPECT_TRUE(table.promote().empty());
  is_read = true;
  EXPECT_EQ(table.promote().at(0).id, id(9));
  EXPECT_EQ(table.release(id(9))->id, id(150));
  EXPECT_FALSE(table.rows_wait());
}

TEST(KeyTable, ARowThatKeepsItsKeyWaitsForNoReading) {
  KeyTable table([](const Pending&) { return false; });
  table.open();
  table.hold(7, id(1));
  table.park(id(1), 100);
  Pending row = keyed(1, 7, protocol::Origin::kLater);
  EXPECT_FALSE(table.would_wait(row));
  EXPECT_TRUE(table.add(row));
}

}  // namespace
}  // namespace fanfare::broker
