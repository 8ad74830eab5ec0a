// The broker's state for people and for monitoring.
#pragma once

#include <string>

#include "base/time.h"

namespace fanfare::broker {

class Core;

// {"broker":{…},"workers":[…],"functions":[{"name","ready","running","later","dead","oldest_ms",
// "instances",…}],"long_running":[…]}; the command line adds what only Redis itself can tell.
std::string status_json(const Core& core, Now now);

// Prometheus text exposition, every counter of counters.h and the depth of each function's queue.
std::string metrics_text(const Core& core);

}  // namespace fanfare::broker
