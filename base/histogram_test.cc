#include "base/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>

namespace fanfare {
namespace {

using namespace std::chrono_literals;

std::uint64_t count_up_to(const Histogram& histogram, Duration bound) {
  const auto bounds = histogram.buckets().bounds;
  const auto at = std::ranges::find(bounds, static_cast<std::uint64_t>(bound.count()));
  EXPECT_NE(at, bounds.end());
  const auto counts = histogram.counts();
  return std::accumulate(counts.begin(), counts.begin() + (at - bounds.begin()) + 1,
                         std::uint64_t{0});
}

TEST(Histogram, ABoundIsWithinItsBucket) {
  Histogram histogram(duration_buckets());
  histogram.observe(1ms);
  histogram.observe(1ms + 1ns);
  EXPECT_EQ(count_up_to(histogram, 500us), 0u);
  EXPECT_EQ(count_up_to(histogram, 1ms), 1u);
  EXPECT_EQ(count_up_to(histogram, 2500us), 2u);
}

TEST(Histogram, TakesWhatIsBelowTheFirstBoundAndAboveTheLast) {
  Histogram histogram(duration_buckets());
  histogram.observe(-5s);  // of a clock that is behind
  histogram.observe(0ns);
  histogram.observe(24h);
  EXPECT_EQ(count_up_to(histogram, 100us), 2u);
  EXPECT_EQ(count_up_to(histogram, 10min), 2u);
  EXPECT_EQ(histogram.counts().back(), 1u);
  EXPECT_EQ(histogram.count(), 3u);
  EXPECT_DOUBLE_EQ(histogram.sum(), 86'400.0);
}

TEST(Histogram, WhatHappensToManyAtOnceIsObservedOnce) {
  Histogram many(duration_buckets()), one_by_one(duration_buckets());
  many.observe(3ms, 256);
  for (int i = 0; i < 256; ++i) one_by_one.observe(3ms);
  EXPECT_TRUE(std::ranges::equal(many.counts(), one_by_one.counts()));
  EXPECT_DOUBLE_EQ(many.sum(), one_by_one.sum());
  EXPECT_EQ(many.count(), 256u);
}

TEST(Histogram, CountsWhateverTheOrderOfValues) {
  Histogram histogram(count_buckets());
  std::vector<std::uint64_t> expected(count_buckets().bounds.size() + 1);
  std::mt19937 random(1);
  for (int i = 0; i < 2000; ++i) {
    const std::uint64_t value = random() % 1200;
    histogram.observe(value);
    std::size_t bucket = 0;  // told the slow way
    while (bucket < expected.size() - 1 && value > count_buckets().bounds[bucket]) ++bucket;
    ++expected[bucket];
  }
  EXPECT_TRUE(std::ranges::equal(histogram.counts(), expected));
}

}  // namespace
}  // namespace fanfare
