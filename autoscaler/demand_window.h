// What was to do over the last while: one sample a tick, averaged over windows.
//
// No clock of its own (callers pass `now`). Bounded: samples older than the longest window go.
#pragma once

#include <deque>

#include "base/time.h"

namespace fanfare::autoscaler {

class DemandWindow {
 public:
  // `longest`: what is older is forgotten; over zero.
  explicit DemandWindow(Duration longest) : longest_(longest) {}

  // Deliveries that wait or run at `now`, which is not before that of the sample before.
  void add(TimePoint now, double demand);

  // The mean of the samples of the last `window`, the newest included; 0 without any.
  double average(TimePoint now, Duration window) const;
  // Nothing is known of the last `window`.
  bool empty(TimePoint now, Duration window) const {
    return samples_.empty() || samples_.back().at <= now - window;
  }

 private:
  struct Sample {
    TimePoint at;
    double demand;
  };
  Duration longest_;
  std::deque<Sample> samples_;
};

}  // namespace fanfare::autoscaler
