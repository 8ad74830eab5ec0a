// What keeps an instance from harming others by accident: limits, closed doors, and a memory
// cgroup.
//
// The threat is buggy code, not hostile code; hostile native code needs a virtual machine around
// it.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/result.h"

namespace fanfare::worker {

struct SandboxOptions {
  pid_t worker = 0;                  // the instance ends at once if this is not its parent
  int cgroup_tasks_fd = -1;          // of cgroup v1
  std::uint64_t data_bytes_max = 0;  // RLIMIT_DATA; 0 = leave it
  std::uint32_t uid = 0, gid = 0;    // 0 = stay who we are
};

// In the new instance, before anything of the function runs: own process group, death with the
// worker, no new privileges, not dumpable, rlimits (files 1024, no core), memory cgroup, user.
Result<void> enter_sandbox(const SandboxOptions& options);

// New seeds for rand(), random() and drand48(). Instances are copies and would all draw the same,
// so their zygote does this before each fork.
void reseed_random_state();

}  // namespace fanfare::worker
