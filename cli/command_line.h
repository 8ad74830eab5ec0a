// Reads the command line and runs the verb it names.
#pragma once

namespace fanfare::cli {

// The exit code; everything has been said on standard output and standard error.
int run_command_line(int argc, char** argv);

}  // namespace fanfare::cli
