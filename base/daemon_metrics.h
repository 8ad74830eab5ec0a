// The metrics that every daemon has: which it is, whether it is ready, what its process uses.
//
// The names process_… are those that Prometheus' own client libraries give the same figures
// (https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics), as dashboards
// know them; so these alone do not begin with fanfare_.
#pragma once

#include <string_view>

#include "base/metrics_text.h"

namespace fanfare {

// fanfare_build_info{daemon,version}, fanfare_ready{daemon}, process_…. Reads /proc/self, which
// waits for no disk; what cannot be read is left out. `daemon`: "broker".
void tell_daemon(MetricsText& text, std::string_view daemon, bool ready);

}  // namespace fanfare
