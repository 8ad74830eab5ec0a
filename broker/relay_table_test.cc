#include "broker/relay_table.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using Admitted = RelayTable::Admission;

const SessionId kAda{1}, kBob{2};

RelayTable small() {
  return RelayTable{{.calls_per_worker = 2,
                     .bytes_per_worker = 100,
                     .calls_max = 3,
                     .bytes_max = 150,
                     .first_calls_max = 1,
                     .first_bytes_max = 60}};
}

TEST(RelayTable, LetsAWorkerHaveSoManyCallsUnderWayAndNoMore) {
  RelayTable table = small();
  EXPECT_EQ(table.admit(Ticket{1}, kAda, 11, 10), Admitted::kTaken);
  EXPECT_EQ(table.admit(Ticket{2}, kAda, 12, 10), Admitted::kTaken);
  EXPECT_EQ(table.admit(Ticket{3}, kAda, 13, 10), Admitted::kFull);
  EXPECT_EQ(table.admit(Ticket{4}, kBob, 13, 10), Admitted::kTaken) << "others have their own";
  const auto asked = table.end(Ticket{1});
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->session, kAda);
  EXPECT_EQ(asked->request, 11u);
  EXPECT_EQ(table.admit(Ticket{5}, kAda, 13, 10), Admitted::kTaken);
}

TEST(RelayTable, BoundsBytesButLetsASingleCallOfAnySizeThrough) {
  RelayTable table = small();
  EXPECT_EQ(table.admit(Ticket{1}, kAda, 11, 500), Admitted::kTaken);
  EXPECT_EQ(table.admit(Ticket{2}, kAda, 12, 1), Admitted::kFull);
  EXPECT_EQ(table.admit(Ticket{3}, kBob, 11, 1), Admitted::kFull) << "the whole broker is full";
  ASSERT_TRUE(table.end(Ticket{1}));
  EXPECT_EQ(table.bytes(), 0u);
  EXPECT_EQ(table.admit(Ticket{4}, kAda, 12, 90), Admitted::kTaken);
  EXPECT_EQ(table.admit(Ticket{5}, kAda, 13, 11), Admitted::kFull);
  EXPECT_EQ(table.admit(Ticket{6}, kAda, 13, 10), Admitted::kTaken);
}

TEST(RelayTable, BoundsTheCallsOfAllWorkersTogether) {
  RelayTable table = small();
  for (std::uint64_t i = 1; i <= 3; ++i) {
    EXPECT_EQ(table.admit(Ticket{i}, SessionId{i}, 1, 1), Admitted::kTaken);
  }
  EXPECT_EQ(table.admit(Ticket{4}, SessionId{3}, 2, 1), Admitted::kFull);
  EXPECT_EQ(table.admit(Ticket{4}, SessionId{4}, 1, 1), Admitted::kTaken) << "its first one";
  EXPECT_EQ(table.admit(Ticket{5}, SessionId{5}, 1, 1), Admitted::kFull);
  EXPECT_EQ(table.calls(), 4u);
}

TEST(RelayTable, ALargeCallOfAWorkerWithoutOthersDoesNotWaitForThoseOfAll) {
  RelayTable table = small();
  EXPECT_EQ(table.admit(Ticket{1}, kAda, 11, 90), Admitted::kTaken);
  EXPECT_EQ(table.admit(Ticket{2}, kBob, 11, 60), Admitted::kTaken);
  const SessionId eve{3};
  EXPECT_EQ(table.admit(Ticket{3}, eve, 11, 61), Admitted::kFull) << "that has a bound, too";
  EXPECT_EQ(table.admit(Ticket{3}, eve, 11, 60), Admitted::kTaken);
  EXPECT_EQ(table.admit(Ticket{4}, eve, 12, 1), Admitted::kFull);
  EXPECT_EQ(table.bytes(), 210u);
}

TEST(RelayTable, KnowsARepeatOfWhatIsUnderWayAndNotOfWhatHasEnded) {
  RelayTable table = small();
  EXPECT_EQ(table.admit(Ticket{1}, kAda, 11, 10), Admitted::kTaken);
  EXPECT_EQ(table.admit(Ticket{2}, kAda, 11, 10), Admitted::kUnderWay);
  EXPECT_FALSE(table.end(Ticket{2})) << "nothing was admitted under it";
  ASSERT_TRUE(table.end(Ticket{1}));
  EXPECT_FALSE(table.end(Ticket{1}));
  EXPECT_EQ(table.admit(Ticket{3}, kAda, 11, 10), Admitted::kTaken);
  EXPECT_EQ(table.calls(), 1u);
}

}  // namespace
}  // namespace fanfare::broker
