// Telling processes apart, across reboots and reused pids, and noticing their end at once.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/result.h"

namespace fanfare {

// The kernel's id of this boot: equal for two processes exactly if they share a running kernel.
Result<std::string> this_boot_id();

// What two processes have in common that mean the same by a pid: the boot id and, where that is not
// the kernel's first PID namespace (in a container), "/pid:" and the namespace's number.
Result<std::string> this_host_id();
std::string host_id_of(std::string boot_id, std::uint64_t pid_namespace);  // pure

// When the process started, in clock ticks since boot (field 22 of /proc/PID/stat): with the pid,
// the identity of a process. kStale if there is no such process.
Result<std::uint64_t> process_start_time(int pid);

// Calls back once, on the loop, when a process has ended (also if it is not a child).
class PidWatch {
 public:
  // kStale if the process is gone already.
  static Result<std::unique_ptr<PidWatch>> open(Loop& loop, int pid, std::function<void()> on_exit);
  // The same over a pidfd that somebody else opened; takes the descriptor.
  static std::unique_ptr<PidWatch> adopt(Loop& loop, int pidfd, std::function<void()> on_exit);
  ~PidWatch();
  PidWatch(const PidWatch&) = delete;
  PidWatch& operator=(const PidWatch&) = delete;

  int pidfd() const { return pidfd_; }

 private:
  PidWatch(Loop& loop, int pidfd, std::function<void()> on_exit);
  int pidfd_;
  std::function<void()> on_exit_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace fanfare
