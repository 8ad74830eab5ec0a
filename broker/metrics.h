// The broker's core in Prometheus' text format; docs/metrics.md explains each name.
//
// Every counter of counters.h and the measures of measures.h. Labels are names of functions, and
// reasons, of which there are few; tenants, publishers and workers are none.
#pragma once

#include <string>

#include "base/metrics_text.h"
#include "base/time.h"

namespace fanfare::broker {

class Core;

// Goes through what waits and what is lent, as status_json does: some milliseconds with all windows
// full.
void tell_core(MetricsText& text, const Core& core, Now now);

// The same by itself, for whoever asks over the protocol.
std::string metrics_text(const Core& core, Now now);

}  // namespace fanfare::broker
