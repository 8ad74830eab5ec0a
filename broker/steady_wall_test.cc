#include "broker/steady_wall.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

const WallTime kWallStart = wall_from_ms(1'700'000'000'000);

TEST(SteadyWall, IsTheWallClockAsLongAsNobodySetsIt) {
  SteadyWall wall(5s, kWallStart);
  EXPECT_EQ(wall.at(5s, kWallStart), kWallStart);
  EXPECT_EQ(wall.at(65s, kWallStart + 60s), kWallStart + 60s);
  EXPECT_EQ(wall.at(65s, kWallStart + 60s + 400ms), kWallStart + 60s + 400ms)
      << "a leap second, smeared";
  EXPECT_EQ(wall.kept_off(), 0ms);
}

TEST(SteadyWall, CountsOnWhenTheWallClockIsSetForwardOrBack) {
  SteadyWall wall(5s, kWallStart);
  for (const auto step : {std::chrono::milliseconds{1h}, std::chrono::milliseconds{-1h},
                          std::chrono::milliseconds{1s}, std::chrono::milliseconds{-1s}}) {
    EXPECT_EQ(wall.at(15s, kWallStart + 10s + step), kWallStart + 10s);
    EXPECT_EQ(wall.kept_off(), step);
    EXPECT_EQ(wall.at(16s, kWallStart + 11s), kWallStart + 11s) << "set right again";
    EXPECT_EQ(wall.kept_off(), 0ms);
  }
}

TEST(SteadyWall, StaysWithinHalfASecondOfWhatHasPassedWhileTheClockIsSetAllTheTime) {
  SteadyWall wall(0s, kWallStart);
  std::chrono::milliseconds crept{0};
  for (int tick = 1; tick <= 36'000; ++tick) {  // an hour, at 10 Hz
    const auto passed = 100ms * tick;
    crept += 100ms * (tick % 3 - 1) + 30ms;
    const auto off = wall.at(passed, kWallStart + passed + crept) - (kWallStart + passed);
    ASSERT_LE(std::chrono::abs(off), 500ms) << tick;
  }
}

TEST(SteadyWall, TakesATimeThatIsAWholeDayOffBecauseTheClockHadNotBeenSet) {
  SteadyWall wall(5s, wall_from_ms(1000));
  EXPECT_EQ(wall.at(6s, kWallStart), kWallStart);
  EXPECT_EQ(wall.at(7s, kWallStart + 1s), kWallStart + 1s);
  EXPECT_EQ(wall.at(8s, kWallStart + 1h), kWallStart + 2s) << "and counts on from there";
}

}  // namespace
}  // namespace fanfare::broker
