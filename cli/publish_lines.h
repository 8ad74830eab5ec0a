// fanfare publish --lines: one event per line of standard input.
#pragma once

#include "cli/verbs.h"

namespace fanfare::cli {

int run_publish_lines(const Common& common, const PublishCommand& command);

}  // namespace fanfare::cli
