// What an autoscaler has counted, for Prometheus.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "autoscaler/driver.h"
#include "autoscaler/scaler.h"
#include "base/metrics_text.h"
#include "base/time.h"

namespace fanfare::autoscaler {

// Decisions by where they went and why.
class DecisionCounts {
 public:
  void note(const Decision& decision, std::uint32_t running);
  void tell(MetricsText& text) const;

 private:
  static constexpr std::size_t kDirections = 3, kReasons = 6;
  std::array<std::array<std::uint64_t, kReasons>, kDirections> counts_{};
};

struct Metrics {
  Observation seen;
  WorkerSet workers;
  Decision decision;
  std::uint64_t scaled_up = 0, scaled_down = 0;  // changes begun
  DecisionCounts decisions;
  std::uint64_t failed_broker = 0, failed_driver = 0;  // ticks without a decision, or its change
  TimePoint decided{};  // the last time; before the first: when it started
};

// fanfare_autoscaler_…, with the bounds of `options`.
void tell_scaling(MetricsText& text, const Metrics& metrics, const ScalerOptions& options,
                  TimePoint now);

}  // namespace fanfare::autoscaler
