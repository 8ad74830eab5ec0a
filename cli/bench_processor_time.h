// What an installation under measurement uses of the processors.
#pragma once

#include <sys/types.h>

namespace fanfare::cli {

// Seconds, in user and kernel mode.
struct ProcessorTime {
  double publishers_s = 0;  // and whoever belongs to none of the others
  double broker_s = 0;
  double worker_s = 0;
  double instances_s = 0;  // with zygotes
  double redis_s = 0;

  double all_s() const { return publishers_s + broker_s + worker_s + instances_s + redis_s; }
  ProcessorTime since(const ProcessorTime& before) const;
};

// What `root` and all processes below it have used so far, with those that have ended and were
// waited for. In steps of 10 ms. Other programs on the machine change it little, unlike the time by
// the clock.
ProcessorTime processor_time(pid_t root);

}  // namespace fanfare::cli
