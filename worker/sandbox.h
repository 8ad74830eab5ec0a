// What keeps an instance from harming others by accident: limits, closed doors, and a memory
// cgroup.
//
// The threat is buggy code, not hostile code; hostile native code needs a virtual machine around
// it.
#pragma once

#include <signal.h>
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

// In a zygote, before anything of the function is loaded: no new privileges, and the user that its
// instances become, without any capability. Nothing if uid is 0 or this is not root.
//
// With `keeps_a_way` root stays the saved user id, for BornAsRoot alone: the kernel lets only the
// owner of a v2 cgroup put a new process there. Code that looks for it can become root again,
// without capabilities: it may then do what the user id 0 alone allows, which is to read and write
// what root owns, and to signal root's processes. Without `keeps_a_way` there is none back.
Result<void> become_unprivileged(std::uint32_t uid, std::uint32_t gid, bool keeps_a_way);

// While it lives, files are opened and cgroups entered as root, if this process kept a way; nothing
// else changes. What a change of user resets (dumpable, parent-death signal) is set again when it
// ends, and no signal is taken meanwhile: a handler would be the function's. A child that is forked
// meanwhile ends its own, too. One thread.
class BornAsRoot {
 public:
  BornAsRoot();
  ~BornAsRoot();
  BornAsRoot(const BornAsRoot&) = delete;
  BornAsRoot& operator=(const BornAsRoot&) = delete;

 private:
  bool active_ = false;
  sigset_t signals_{};  // what was blocked before
};

// In the new instance, before anything of the function runs: own process group, death with the
// worker, no new privileges, not dumpable, rlimits (files 1024, no core), memory cgroup, user.
Result<void> enter_sandbox(const SandboxOptions& options);

// New seeds for rand(), random() and drand48(). Instances are copies and would all draw the same,
// so their zygote does this before each fork.
void reseed_random_state();

}  // namespace fanfare::worker
