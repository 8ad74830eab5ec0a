// The broker's state for people.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace fanfare::broker {

class Core;
struct FunctionState;

// {"broker":{…},"workers":[…],"functions":[{"name","ready","running","later","dead","oldest_ms",
// "instances",…}],"long_running":[…]}; the command line adds what only Redis itself can tell.
std::string status_json(const Core& core, Now now);

// Everything open that no worker has: the windows and the unread rest of the journal. Goes through
// what is lent.
std::int64_t ready_of(const FunctionState& function);

}  // namespace fanfare::broker
