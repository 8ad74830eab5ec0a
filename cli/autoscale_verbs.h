// `fanfare autoscale status`: what autoscalers have decided, and why.
#pragma once

#include "cli/operator_verbs.h"

namespace fanfare::cli {

// If it is chosen it puts itself into `run`, which must outlive `app`'s parsing.
void add_autoscale_verbs(CLI::App& app, Run& run);

}  // namespace fanfare::cli
