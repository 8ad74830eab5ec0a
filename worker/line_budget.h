// How many lines of a kind may go to the log: so many a second, and as many at once. What is left
// out is counted. Pure.
#pragma once

#include <cstdint>
#include <utility>

#include "base/time.h"

namespace fanfare::worker {

class LineBudget {
 public:
  LineBudget(std::uint32_t per_second, TimePoint now)
      : per_second_(per_second), left_(per_second), refilled_at_(now) {}

  // Whether a line may be written now; if not, it is counted as left out. Cheap when the answer is
  // no, which it is for most of 200,000 lines a second.
  bool take(TimePoint now) {
    if (now - refilled_at_ >= kRefillEvery) refill(now);
    if (left_ == 0) {
      ++left_out_;
      return false;
    }
    --left_;
    return true;
  }

  // How many were left out since this was asked last.
  std::uint64_t take_left_out() { return std::exchange(left_out_, 0); }

 private:
  static constexpr Duration kRefillEvery = std::chrono::milliseconds{10};

  void refill(TimePoint now) {
    const double earned = std::chrono::duration<double>(now - refilled_at_).count() * per_second_;
    if (earned < 1) return;  // it adds up
    refilled_at_ = now;
    const double left = left_ + earned;
    left_ = left < per_second_ ? static_cast<std::uint32_t>(left) : per_second_;
  }

  std::uint32_t per_second_;
  std::uint32_t left_;
  std::uint64_t left_out_ = 0;
  TimePoint refilled_at_;
};

}  // namespace fanfare::worker
