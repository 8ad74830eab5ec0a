#include "broker/part_pace.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using Admission = PartPace::Admission;

constexpr TimePoint kThen = TimePoint{} + 1h;

// So many questions, each answered at once; how many were taken.
int ask_many(PartPace& pace, std::uint64_t from, int count, TimePoint now) {
  int taken = 0;
  for (int i = 0; i < count; ++i) {
    if (pace.ask(from + static_cast<std::uint64_t>(i), now) != Admission::kTaken) continue;
    ++taken;
    pace.on_answered(from + static_cast<std::uint64_t>(i), false);
  }
  return taken;
}

TEST(PartPace, AWorkerHasSoManyPartsAtOnceAndSoManyASecondAfterThat) {
  PartPace pace;
  EXPECT_EQ(ask_many(pace, 1, 1000, kThen), PartPace::kAtOnce);
  EXPECT_EQ(ask_many(pace, 2000, 1000, kThen + 125ms), PartPace::kPerSecond / 8);
  EXPECT_EQ(ask_many(pace, 4000, 1000, kThen + 1min), PartPace::kAtOnce) << "nothing is saved up";
}

TEST(PartPace, OfThoseThatWaitForRedisThereAreFew) {
  PartPace pace;
  for (std::uint64_t i = 1; i <= PartPace::kWaitingMax; ++i) {
    EXPECT_EQ(pace.ask(i, kThen), Admission::kTaken);
  }
  EXPECT_EQ(pace.ask(9, kThen), Admission::kTooFast);
  pace.on_answered(1, false);
  EXPECT_EQ(pace.ask(9, kThen), Admission::kTaken);
}

TEST(PartPace, TheSameQuestionHasOneAnswerAsLongAsThatMayBeOnItsWay) {
  PartPace pace;
  EXPECT_EQ(pace.ask(1, kThen), Admission::kTaken);
  EXPECT_EQ(pace.ask(1, kThen + 10s), Admission::kRepeated) << "Redis has not answered";
  pace.on_answered(1, false);
  EXPECT_EQ(pace.ask(1, kThen + 30s), Admission::kRepeated) << "the link is slow";
  EXPECT_EQ(pace.ask(1, kThen + PartPace::kOnItsWay), Admission::kTaken);
  pace.on_answered(1, true);
  EXPECT_EQ(pace.ask(1, kThen + PartPace::kOnItsWay + 1s), Admission::kTaken) << "it was told to";
}

}  // namespace
}  // namespace fanfare::broker
