// How much of something happens per second just now: from totals, looked at once a second. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/time.h"

namespace fanfare::broker {

class RateMeter {
 public:
  struct Rates {
    double accepted = 0, done = 0;  // per second
  };

  // The totals so far; more often than once a second costs a comparison. They may fall, when they
  // are counted anew: that is no rate.
  void note(TimePoint now, std::uint64_t accepted, std::uint64_t done) {
    if (!looks_.empty() && now - looks_.back().at < kLookEvery) return;
    looks_.push_back({now, accepted, done});
    if (looks_.size() > kLooksMax) looks_.pop_front();
  }

  // Over the last five seconds, or as long as it has been looked at.
  Rates rates() const {
    if (looks_.size() < 2) return {};
    const Look& first = looks_.front();
    const Look& last = looks_.back();
    const double seconds = std::chrono::duration<double>(last.at - first.at).count();
    const auto per_second = [&](std::uint64_t from, std::uint64_t to) {
      return to > from ? static_cast<double>(to - from) / seconds : 0.0;
    };
    return {per_second(first.accepted, last.accepted), per_second(first.done, last.done)};
  }

 private:
  static constexpr Duration kLookEvery = std::chrono::seconds{1};
  static constexpr std::size_t kLooksMax = 6;
  struct Look {
    TimePoint at;
    std::uint64_t accepted, done;
  };
  std::deque<Look> looks_;
};

}  // namespace fanfare::broker
