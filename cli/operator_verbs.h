// The verbs by which operators look into and steer a running installation: cancel, deliveries,
// workers, config. Declared apart from the others so that each file stays one thought.
#pragma once

#include <functional>

#include "cli/verbs.h"

namespace CLI {
class App;
}  // namespace CLI

namespace fanfare::cli {

// The verb that was chosen, ready to run.
using Run = std::function<int(const Common&)>;

// Whichever of them is chosen puts itself into `run`, which must outlive `app`'s parsing.
void add_operator_verbs(CLI::App& app, Run& run);

}  // namespace fanfare::cli
