// Flags that several verbs have: an event's data, durations, how long to wait.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/verbs.h"

namespace fanfare::cli {

CLI::Validator duration_like();

// --data, --data-file and --content-type.
void add_data_flags(CLI::App& verb, EventFlags& event);

// --wait for the results: into `wait`, a duration's text.
void add_wait_flag(CLI::App& verb, std::string& wait);

}  // namespace fanfare::cli
