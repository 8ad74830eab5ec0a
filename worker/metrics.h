// The worker's core in Prometheus' text format; docs/metrics.md explains each name.
//
// Every counter of counters.h and the measures of measures.h. Labels are names of functions, and
// outcomes, states and reasons, of which there are few.
#pragma once

#include <cstdint>
#include <functional>

#include "base/metrics_text.h"
#include "worker/effects.h"

namespace fanfare::worker {

class Core;

// How much memory an instance has had in use at most, bytes.
using PeakMemory = std::function<std::uint64_t(InstanceId)>;

void tell_core(MetricsText& text, const Core& core, const PeakMemory& peak_memory);

}  // namespace fanfare::worker
