#include "autoscaler/demand_window.h"

namespace fanfare::autoscaler {

void DemandWindow::add(TimePoint now, double demand) {
  while (!samples_.empty() && samples_.front().at <= now - longest_) samples_.pop_front();
  samples_.push_back({now, demand});
}

double DemandWindow::average(TimePoint now, Duration window) const {
  double sum = 0;
  std::size_t count = 0;
  for (auto sample = samples_.rbegin(); sample != samples_.rend(); ++sample) {
    if (sample->at <= now - window) break;
    sum += sample->demand;
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

}  // namespace fanfare::autoscaler
