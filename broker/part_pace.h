// How fast one worker may be handed parts of packages.
//
// A question has some eighty bytes and its answer 1 MiB, so questions alone would fill the broker's
// memory with answers that their worker does not read as fast. At most kAtOnce answers at a time,
// and kPerSecond after that: 64 MiB/s. A worker asks for the next part of a package when it has the
// one before, so it notices neither; what goes beyond is told to ask later.
//
// The same question again, while its answer may still be on its way, has no second answer: a worker
// on a slow link is impatient, and would make it slower. After kOnItsWay it has one.
//
// Pure; on the loop's thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "base/time.h"

namespace fanfare::broker {

class PartPace {
 public:
  static constexpr int kAtOnce = 16;
  static constexpr int kPerSecond = 64;
  static constexpr std::size_t kWaitingMax = 4;  // questions that wait for Redis
  // 1 MiB at 150 kbit/s.
  static constexpr Duration kOnItsWay = std::chrono::seconds{60};

  enum class Admission : std::uint8_t { kTaken, kRepeated, kTooFast };
  Admission ask(std::uint64_t request, TimePoint now) {
    while (!asked_.empty() && now - asked_.front().at >= kOnItsWay) asked_.pop_front();
    const auto is_it = [request](const Asked& one) { return one.request == request; };
    if (std::ranges::any_of(asked_, is_it)) return Admission::kRepeated;
    const double more = std::chrono::duration<double>(now - refilled_at_).count() * kPerSecond;
    tokens_ = std::min<double>(kAtOnce, tokens_ + more);
    refilled_at_ = now;
    if (tokens_ < 1 || waiting_ >= kWaitingMax) return Admission::kTooFast;
    tokens_ -= 1;
    ++waiting_;
    asked_.push_back({request, now});
    if (asked_.size() > kRemembered) asked_.pop_front();
    return Admission::kTaken;
  }
  // It has an answer. `asks_again`: to ask later, so that the same one is welcome again.
  void on_answered(std::uint64_t request, bool asks_again) {
    if (waiting_ > 0) --waiting_;
    if (!asks_again) return;
    std::erase_if(asked_, [request](const Asked& one) { return one.request == request; });
  }

 private:
  static constexpr std::size_t kRemembered = 64;
  struct Asked {
    std::uint64_t request;
    TimePoint at;
  };
  double tokens_ = kAtOnce;
  TimePoint refilled_at_;
  std::size_t waiting_ = 0;
  std::deque<Asked> asked_;  // the oldest first
};

}  // namespace fanfare::broker
