#include "broker/rate_meter.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

TEST(RateMeter, IsThatOfTheLastSeconds) {
  RateMeter meter;
  TimePoint now = TimePoint{} + 1h;
  EXPECT_EQ(meter.rates().accepted, 0);
  for (int tenth = 0; tenth <= 100; ++tenth) {  // ten seconds of 1,000 a second
    meter.note(now, static_cast<std::uint64_t>(tenth) * 100,
               static_cast<std::uint64_t>(tenth) * 50);
    now += 100ms;
  }
  EXPECT_DOUBLE_EQ(meter.rates().accepted, 1000);
  EXPECT_DOUBLE_EQ(meter.rates().done, 500);
  for (int second = 0; second < 6; ++second) meter.note(now += 1s, 10'000, 5'000);
  EXPECT_DOUBLE_EQ(meter.rates().accepted, 0) << "nothing has come for so long";
}

TEST(RateMeter, TotalsThatFallAreNoRate) {
  RateMeter meter;
  meter.note(TimePoint{} + 1s, 100, 100);
  meter.note(TimePoint{} + 2s, 10, 200);
  EXPECT_DOUBLE_EQ(meter.rates().accepted, 0);
  EXPECT_DOUBLE_EQ(meter.rates().done, 100);
}

}  // namespace
}  // namespace fanfare::broker
