// What an installation under measurement uses of the processors.
#pragma once

#include <sys/types.h>

namespace fanfare::cli {

// Seconds that `root` and all processes below it have used so far, in user and kernel mode, with
// those that have ended and were waited for. In steps of 10 ms. Other programs on the machine
// change it little, unlike the time by the clock.
double processor_s(pid_t root);

}  // namespace fanfare::cli
