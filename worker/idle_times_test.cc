#include "worker/idle_times.h"

#include <gtest/gtest.h>

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;

IdleTimes many(Duration idle, int count = 100) {
  IdleTimes times;
  for (int i = 0; i < count; ++i) times.add(idle);
  return times;
}

TEST(IdleTimes, SayNothingWhileTheyAreFew) {
  EXPECT_FALSE(IdleTimes{}.advice());
  EXPECT_FALSE(many(10s, 31).advice());
  EXPECT_TRUE(many(10s, 32).advice());
}

TEST(IdleTimes, KeepAnInstanceUntilThe99thPercentile) {
  for (const Duration idle : {Duration{12s}, Duration{47s}, Duration{10min}}) {
    const auto advice = many(idle).advice();
    ASSERT_TRUE(advice);
    EXPECT_GE(advice->keep, idle * 11 / 10) << format_duration(idle);
    EXPECT_LE(advice->keep, idle * 11 / 10 * 5 / 4) << "a class is a quarter wide at most";
  }
  IdleTimes mixed = many(2s, 980);
  for (int i = 0; i < 20; ++i) mixed.add(5min);
  EXPECT_GE(mixed.advice()->keep, 5min) << "2 in 100 are so long";
}

TEST(IdleTimes, KeepNoneLongerThanAnHourNorLessThanTenSeconds) {
  EXPECT_EQ(many(1ms).advice()->keep, 10s);
  EXPECT_EQ(many(0s).advice()->keep, 10s);
  IdleTimes rare = many(10s, 90);
  for (int i = 0; i < 10; ++i) rare.add(2h);
  EXPECT_EQ(rare.advice()->keep, 1h);
}

TEST(IdleTimes, LetAnInstanceGoWhenItIsNotNeededForMinutes) {
  EXPECT_FALSE(many(30s).advice()->back_after) << "not worth it";
  const auto advice = many(20min).advice();
  ASSERT_TRUE(advice->back_after);
  EXPECT_LT(*advice->back_after, 20min);
  EXPECT_GT(*advice->back_after, 10min);
  EXPECT_LT(*advice->back_after, advice->keep);
}

// The hour is that of waiting, not of being away.
TEST(IdleTimes, HaveAnInstanceBackAlsoAfterHours) {
  for (const Duration idle : {Duration{1h}, Duration{2h}, Duration{4h}}) {
    const auto advice = many(idle).advice();
    ASSERT_TRUE(advice->back_after);
    EXPECT_LT(*advice->back_after, idle);
    EXPECT_GT(advice->keep, idle) << format_duration(idle);
    EXPECT_LE(advice->keep, *advice->back_after + 1h + 1min);
  }
}

TEST(IdleTimes, OfOneThatIsBackInTimeCountOnce) {
  IdleTimes times;
  const TimePoint begun{1h};
  times.ended(begun);
  times.resumed();
  times.made(begun + 1h);
  times.made(begun + 1h);
  EXPECT_FALSE(times.advice());
  for (int i = 0; i < 20; ++i) times.ended(begun + i * 1s);
  for (int i = 0; i < 20; ++i) times.made(begun + 100s);
  EXPECT_FALSE(times.advice()) << "the latest eight are known";
}

TEST(IdleTimes, SayNothingOfTimesThatAreBeyondTheirEnd) {
  IdleTimes times = many(10s, 100);
  for (int i = 0; i < 4; ++i) times.add(24h);
  EXPECT_TRUE(times.advice());
  for (int i = 0; i < 10; ++i) times.add(24h);
  EXPECT_FALSE(times.advice());
}

TEST(IdleTimes, ForgetOldHabits) {
  IdleTimes times = many(10min, 4000);
  for (int i = 0; i < 40'000; ++i) times.add(2s);
  EXPECT_EQ(times.advice()->keep, 10s);
}

// Else what is ended early would never be seen to have been needed later.
TEST(IdleTimes, GoOnAfterTheInstanceHasEnded) {
  IdleTimes times;
  TimePoint now{1h};
  for (int i = 0; i < 50; ++i) {
    times.ended(now);
    now += 5min;
    times.made(now);
    times.made(now);  // one more beside it, that nobody had ended
  }
  const auto advice = times.advice();
  ASSERT_TRUE(advice);
  EXPECT_GE(advice->keep, 5min);
  EXPECT_LE(advice->keep, 7min);
}

}  // namespace
}  // namespace fanfare::worker
