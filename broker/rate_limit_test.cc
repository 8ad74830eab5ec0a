#include "broker/rate_limit.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

const TimePoint kStart = TimePoint{} + 1h;

// Starts as many as are allowed at each step, up to `until`; when each started, in ns from kStart.
std::vector<Duration> starts_of(RateLimit& rate, Duration from, Duration until, Duration step) {
  std::vector<Duration> starts;
  for (Duration at = from; at < until; at += step) {
    while (const std::size_t n = rate.allowed(kStart + at)) {
      rate.take(n, kStart + at);
      starts.insert(starts.end(), n, at);
    }
  }
  return starts;
}

std::size_t most_in_a_second(const std::vector<Duration>& starts) {
  std::size_t most = 0;
  for (std::size_t first = 0, last = 0; last < starts.size(); ++last) {
    while (starts[last] - starts[first] >= 1s) ++first;
    most = std::max(most, last - first + 1);
  }
  return most;
}

TEST(RateLimit, WithoutARateEverythingMayStart) {
  RateLimit rate;
  EXPECT_GT(rate.allowed(kStart), 1'000'000u);
  rate.take(1'000'000, kStart);
  EXPECT_GT(rate.allowed(kStart), 1'000'000u);
  EXPECT_FALSE(rate.waits_until());
}

TEST(RateLimit, PacesStartsAndNoSecondSeesMoreThanTheRateAndOne) {
  for (const double per_second : {3.0, 100.0, 2500.0, 100'000.0}) {
    RateLimit rate;
    rate.set(per_second);
    const auto starts = starts_of(rate, 0s, 5s, 1ms);
    EXPECT_NEAR(static_cast<double>(starts.size()), 5 * per_second, 0.01 * per_second + 1);
    EXPECT_LE(static_cast<double>(most_in_a_second(starts)), per_second * 1.001 + 1) << per_second;
  }
}

TEST(RateLimit, APauseIsNotSavedUp) {
  RateLimit rate;
  rate.set(100);
  for (const Duration pause : {0min, 10min, 20min}) {
    EXPECT_EQ(rate.allowed(kStart + pause), 1u);
    rate.take(1, kStart + pause);
  }
}

TEST(RateLimit, ALateLoopCostsNoStartsUpToFiftyMilliseconds) {
  RateLimit rate;
  rate.set(1000);
  const auto starts = starts_of(rate, 0s, 2s, 37ms);
  EXPECT_NEAR(static_cast<double>(starts.size()), 2000, 40);
  RateLimit stalled;
  stalled.set(1000);
  starts_of(stalled, 0s, 10ms, 1ms);
  EXPECT_LE(stalled.allowed(kStart + 5s), 51u) << "five seconds' standstill is not made up for";
}

TEST(RateLimit, SaysWhenTheNextOneMayStart) {
  RateLimit rate;
  rate.set(10);
  rate.take(rate.allowed(kStart), kStart);
  EXPECT_EQ(rate.allowed(kStart + 1ms), 0u);
  ASSERT_TRUE(rate.waits_until());
  EXPECT_EQ(*rate.waits_until(), kStart + 100ms);
  EXPECT_EQ(rate.allowed(kStart + 100ms), 1u);
}

TEST(RateLimit, ADeploymentGoesOnFromTheLastStart) {
  RateLimit rate;
  rate.set(1.0 / 3600);
  rate.take(rate.allowed(kStart), kStart);
  rate.set(10);
  EXPECT_EQ(rate.allowed(kStart + 50ms), 0u) << "not at once, whatever it was";
  EXPECT_EQ(rate.allowed(kStart + 151ms), 1u) << "and not only in an hour";
  rate.set(0);
  EXPECT_GT(rate.allowed(kStart + 151ms), 1000u);
}

}  // namespace
}  // namespace fanfare::broker
