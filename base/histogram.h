// Counts of observed values in fixed buckets, as Prometheus' histograms have them.
//
// Observing allocates nothing and takes no lock: a few comparisons and three additions, fewer when
// a value lies in the bucket of the one before it, as neighbours mostly do. What happens to many at
// once is observed once, with their number.
//
// No clock, no I/O; not thread-safe: belongs to its core's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/time.h"

namespace fanfare {

// What a histogram tells apart: upper bounds, ascending, each within its bucket. Lives for ever.
struct Buckets {
  std::span<const std::uint64_t> bounds;  // at most Histogram::kBoundsMax
  double per_unit = 1;  // steps of a value in the unit that the metric's name ends in
};

// 100 µs to 500 s in steps of 1, 2.5 and 5, and 10 min. Values are nanoseconds, metrics are told in
// seconds. What this project does takes from a fifth of a millisecond (an instance's birth) up to
// the time that functions are given.
const Buckets& duration_buckets();

// 1 to 256, which a chunk, a commit or a page has at most: how many went together.
const Buckets& count_buckets();

class Histogram {
 public:
  static constexpr std::size_t kBoundsMax = 24;

  explicit Histogram(const Buckets& buckets) : buckets_(&buckets) {}

  // `times`: so many at once had this value.
  void observe(std::uint64_t value, std::uint64_t times = 1) {
    if (!lies_in(at_, value)) at_ = bucket_of(value);
    counts_[at_] += times;
    sum_ += value * times;
  }
  // What is below zero counts as zero: clocks of two processes need not agree.
  void observe(Duration duration, std::uint64_t times = 1) {
    observe(static_cast<std::uint64_t>(duration.count() < 0 ? 0 : duration.count()), times);
  }

  // One for each bound, and one for what is above the last.
  std::span<const std::uint64_t> counts() const {
    return {counts_.data(), buckets_->bounds.size() + 1};
  }
  std::uint64_t count() const;
  double sum() const { return static_cast<double>(sum_) / buckets_->per_unit; }
  const Buckets& buckets() const { return *buckets_; }

 private:
  bool lies_in(std::size_t bucket, std::uint64_t value) const {
    const auto bounds = buckets_->bounds;
    return (bucket == bounds.size() || value <= bounds[bucket]) &&
           (bucket == 0 || value > bounds[bucket - 1]);
  }
  std::size_t bucket_of(std::uint64_t value) const;

  const Buckets* buckets_;
  std::size_t at_ = 0;  // of the last value
  std::array<std::uint64_t, kBoundsMax + 1> counts_{};
  std::uint64_t sum_ = 0;  // 584 years of nanoseconds; then it begins anew, as counters do
};

}  // namespace fanfare
