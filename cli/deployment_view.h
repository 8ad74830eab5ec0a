// How a deployment is shown, while it is on its way and when it is done.
#pragma once

#include <string_view>

#include "cli/deployment.h"
#include "cli/verbs.h"

namespace fanfare::cli {

// As the flags say, with progress on a terminal.
FollowOptions follow_options(const Common& common, const FollowFlags& flags);
void end_progress(const Common& common);

// One line, or the object of --output json. `verb`: "deployed", "rolled back".
void print_deployed(const Common& common, const Deployed& deployed, std::string_view verb);

}  // namespace fanfare::cli
