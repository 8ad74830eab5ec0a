// What an autoscaler has counted, for Prometheus.
#pragma once

#include <cstdint>
#include <string>

#include "autoscaler/driver.h"
#include "autoscaler/scaler.h"

namespace fanfare::autoscaler {

struct Metrics {
  Observation seen;
  WorkerSet workers;
  Decision decision;
  std::uint64_t scaled_up = 0, scaled_down = 0;        // changes begun
  std::uint64_t failed_broker = 0, failed_driver = 0;  // ticks without a decision, or its change
};

// In the text format, with the bounds of `options`.
std::string metrics_text(const Metrics& metrics, const ScalerOptions& options);

}  // namespace fanfare::autoscaler
