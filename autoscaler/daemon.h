// fanfare-autoscaler: the command line, then the loop.
#pragma once

namespace fanfare::autoscaler {

int run_daemon(int argc, char** argv);

}  // namespace fanfare::autoscaler
