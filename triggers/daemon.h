// fanfare-triggers from its command line to its exit code.
#pragma once

namespace fanfare::triggers {

int run_daemon(int argc, char** argv);

}  // namespace fanfare::triggers
