#include "worker/idle_times.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kSamplesMin = 32;
constexpr std::uint32_t kSamplesMax = 4096;  // then all count half
constexpr double kBeyondMax = 0.05;          // more, and the tail is not known
constexpr Duration kKeepMin = 10s, kKeepMax = 1h;
// Below that an instance that waits costs less than the forks.
constexpr Duration kWorthEnding = 60s;
constexpr double kLater = 1.1, kEarlier = 0.9;  // the paper's margins

}  // namespace

void IdleTimes::add(Duration idle) {
  const auto us = static_cast<std::uint64_t>(std::max<Duration::rep>(
      0, std::chrono::duration_cast<std::chrono::microseconds>(idle).count()));
  // 1024 us begin the first class; what is shorter belongs to it as well.
  const std::uint64_t scaled = std::max<std::uint64_t>(us, 1024);
  const auto octave = static_cast<std::size_t>(std::bit_width(scaled)) - 11;
  const std::size_t place = octave * kPerOctave + ((scaled >> (octave + 8)) & 3);
  if (place < counts_.size()) {
    ++counts_[place];
  } else {
    ++beyond_;
  }
  if (++total_ < kSamplesMax) return;
  for (std::uint16_t& count : counts_) count = static_cast<std::uint16_t>(count / 2);
  beyond_ /= 2;
  total_ = beyond_;
  for (const std::uint16_t count : counts_) total_ += count;
}

Duration IdleTimes::percentile(double part) const {
  const auto wanted = static_cast<std::uint32_t>(std::ceil(part * total_));
  std::uint32_t seen = 0;
  std::size_t place = 0;
  while (place + 1 < counts_.size() && (seen += counts_[place]) < wanted) ++place;
  const std::size_t octave = place / kPerOctave, quarter = place % kPerOctave;
  return std::chrono::microseconds{std::uint64_t{5 + quarter} << (octave + 8)};
}

std::optional<IdleTimes::Advice> IdleTimes::advice() const {
  if (total_ < kSamplesMin || beyond_ > kBeyondMax * total_) return std::nullopt;
  const auto times = [](Duration duration, double factor) {
    return Duration{static_cast<Duration::rep>(static_cast<double>(duration.count()) * factor)};
  };
  const Duration tail = times(percentile(0.99), kLater);
  // The lower end of its class is 4/5 of the upper one at worst.
  const Duration head = times(percentile(0.05), 0.8 * kEarlier);
  if (head >= kWorthEnding) {
    return Advice{.keep = std::min<Duration>(tail, head + kKeepMax), .back_after = head};
  }
  return Advice{.keep = std::clamp(tail, kKeepMin, kKeepMax), .back_after = {}};
}

void IdleTimes::ended(TimePoint idle_since) {
  if (ended_count_ == kEndedMax) {
    std::shift_left(ended_.begin(), ended_.end(), 1);
    --ended_count_;
  }
  ended_[ended_count_++] = idle_since;
}

void IdleTimes::resumed() {
  if (ended_count_ > 0) --ended_count_;
}

void IdleTimes::made(TimePoint now) {
  if (ended_count_ == 0) return;
  add(now - ended_[--ended_count_]);  // the one that was used last, as the warmest are used first
}

}  // namespace fanfare::worker
