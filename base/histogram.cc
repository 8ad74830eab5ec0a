#include "base/histogram.h"

#include <algorithm>
#include <numeric>

namespace fanfare {
namespace {

constexpr std::uint64_t kMicrosecond = 1'000, kMillisecond = 1'000'000, kSecond = 1'000'000'000;

constexpr std::array kDurationBounds{
    100 * kMicrosecond,  250 * kMicrosecond,  500 * kMicrosecond, 1 * kMillisecond,
    2500 * kMicrosecond, 5 * kMillisecond,    10 * kMillisecond,  25 * kMillisecond,
    50 * kMillisecond,   100 * kMillisecond,  250 * kMillisecond, 500 * kMillisecond,
    1 * kSecond,         2500 * kMillisecond, 5 * kSecond,        10 * kSecond,
    25 * kSecond,        50 * kSecond,        100 * kSecond,      250 * kSecond,
    500 * kSecond,       600 * kSecond};
static_assert(kDurationBounds.size() <= Histogram::kBoundsMax);
static_assert(std::ranges::is_sorted(kDurationBounds));

constexpr std::array<std::uint64_t, 8> kCountBounds{1, 2, 5, 10, 25, 50, 100, 256};
static_assert(std::ranges::is_sorted(kCountBounds));

constexpr Buckets kDurations{.bounds = kDurationBounds, .per_unit = 1e9};
constexpr Buckets kCounts{.bounds = kCountBounds, .per_unit = 1};

}  // namespace

const Buckets& duration_buckets() {
  return kDurations;
}

const Buckets& count_buckets() {
  return kCounts;
}

std::uint64_t Histogram::count() const {
  const auto all = counts();
  return std::accumulate(all.begin(), all.end(), std::uint64_t{0});
}

std::size_t Histogram::bucket_of(std::uint64_t value) const {
  const auto bounds = buckets_->bounds;
  return static_cast<std::size_t>(std::ranges::lower_bound(bounds, value) - bounds.begin());
}

}  // namespace fanfare
