// Simulated time: what happens when, in one thread.
//
// Steps at the same instant run in the order in which they were scheduled. A step of something that
// may be gone by then (a process, a connection) must check that for itself; see Life.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/time.h"

namespace fanfare::simulation {

// Whether a process still lives; steps scheduled by it hold this and do nothing once it has ended.
using Life = std::shared_ptr<bool>;
inline Life new_life() {
  return std::make_shared<bool>(true);
}

class Schedule {
 public:
  TimePoint steady() const { return steady_; }
  // What a clock that is `offset` off says.
  Now now(Duration offset = {}) const {
    const auto since =
        std::chrono::duration_cast<std::chrono::milliseconds>(steady_.time_since_epoch() + offset);
    return {steady_, wall_from_ms(kWallStartMs + since.count())};
  }
  std::uint64_t steps() const { return steps_; }

  void at(TimePoint when, std::function<void()> step) {
    heap_.push_back({std::max(when, steady_), sequence_++, std::move(step)});
    std::push_heap(heap_.begin(), heap_.end(), later);
  }
  void after(Duration pause, std::function<void()> step) { at(steady_ + pause, std::move(step)); }
  void after(Duration pause, Life life, std::function<void()> step) {
    at(steady_ + pause, [life = std::move(life), step = std::move(step)] {
      if (*life) step();
    });
  }

  // Takes the next step, if there is one not later than `until`.
  bool run_next(TimePoint until) {
    if (heap_.empty() || heap_.front().when > until) return false;
    std::pop_heap(heap_.begin(), heap_.end(), later);
    Step next = std::move(heap_.back());
    heap_.pop_back();
    steady_ = next.when;
    ++steps_;
    next.run();
    return true;
  }

 private:
  static constexpr std::int64_t kWallStartMs = 1'800'000'000'000;
  struct Step {
    TimePoint when;
    std::uint64_t sequence;
    std::function<void()> run;
  };
  static bool later(const Step& a, const Step& b) {
    return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
  }

  TimePoint steady_{};
  std::uint64_t sequence_ = 0;
  std::uint64_t steps_ = 0;
  std::vector<Step> heap_;
};

}  // namespace fanfare::simulation
