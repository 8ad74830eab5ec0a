// fanfare-broker from its command line to its exit code.
#pragma once

#include <functional>

#include "broker/config.h"

namespace fanfare::broker {

// `adjust` sees the settings once they are read: test programs switch protections off there and
// hand in failpoints. The installed program passes none.
int run_daemon(int argc, char** argv, const std::function<void(Config&)>& adjust = {});

}  // namespace fanfare::broker
