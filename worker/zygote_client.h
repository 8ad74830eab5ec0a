// A function's zygote as its worker holds it: a warmed process that is asked for instances.
//
// The zygote is a fresh exec of `fanfare-instance`, loads the function and runs its init; it stays
// single-threaded and forks an instance per request, with the worker as the parent. Instances do
// not depend on it once forked: replacing a zygote (a new version of the function, a refresh)
// leaves them alone.
//
// Never blocks. Watch control_fd() for reading and call take_events(); a zygote that goes away
// without a word shows as ZygoteGone there. The caller times init.
//
// The worker's thread that calls start() must live as long as the worker: zygote and instances are
// killed by the kernel when it ends.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "protocol/record.h"
#include "worker/instance_handle.h"
#include "worker/log_buffer.h"

namespace fanfare::worker {

struct ZygoteOptions {
  std::string program;   // path of fanfare-instance
  int program_fd = -1;   // run instead of what lies at that path by now; O_PATH will do; not owned
  std::string function;  // name
  std::string
      handler;  // absolute path of the shared object; its folder becomes the working directory
  // All that the function finds in its environment, beside PATH, HOME, LANG, LC_ALL, TZ and
  // LD_LIBRARY_PATH of the worker.
  std::vector<std::pair<std::string, std::string>> env;
  std::uint64_t data_bytes_max = 0;  // RLIMIT_DATA of instances; 0 when a cgroup limits them
  std::uint64_t result_bytes_max = 1 << 20;
  std::uint32_t uid = 0,
                gid = 0;        // what it and its instances become when started as root; 0 = stay
  bool enters_cgroups = false;  // forks are given folders of cgroup v2 to be born in
};

// Loaded and initialised: forks are answered from now on (those asked for earlier included).
struct ZygoteReady {
  Duration took{};  // from its own start
};
// It will never be ready: missing file or symbol, wrong ABI, threads, a failed init. The zygote
// ends and takes along the instances that were asked for; fix the function and start another.
struct ZygoteInitFailed {
  protocol::Failure failure;
  std::string log_tail;
};
struct Forked {
  std::uint64_t ticket = 0;  // of the InstanceHandle: call its forked()
  pid_t pid = 0;
  Fd pidfd;
};
struct ForkFailed {
  std::uint64_t ticket = 0;
  std::string message;
};
// It ended after it had been ready: crashed or was killed. The last event; forks without an answer
// will get none.
struct ZygoteGone {
  protocol::Failure failure;
};
using ZygoteEvent = std::variant<ZygoteReady, ZygoteInitFailed, Forked, ForkFailed, ZygoteGone>;

struct ZygoteReply;

class ZygoteClient {
 public:
  static Result<std::unique_ptr<ZygoteClient>> start(const ZygoteOptions& options);
  ~ZygoteClient();  // kills and reaps the zygote; its instances go on
  ZygoteClient(const ZygoteClient&) = delete;
  ZygoteClient& operator=(const ZygoteClient&) = delete;

  int control_fd() const { return control_.get(); }
  pid_t pid() const { return pid_; }

  // Asks for an instance; allowed before ZygoteReady. `cgroup_fd`: the memory cgroup that the
  // instance is in before it does anything else (MemoryLeaf::entry_fd), or -1. `equipment`: made
  // here if there is none.
  // kRetryLater: too many are on their way; kReconnect: the zygote is gone.
  Result<std::unique_ptr<InstanceHandle>> fork(int cgroup_fd = -1,
                                               std::optional<Equipment> equipment = {});

  std::vector<ZygoteEvent> take_events();

  // What init printed.
  LogBuffer::Text log_tail() const;

 private:
  Ending end();
  void on_reply(ZygoteReply reply, std::vector<Fd>& fds, std::vector<ZygoteEvent>& events);
  void on_gone(std::vector<ZygoteEvent>& events);
  ZygoteClient(Fd control, pid_t pid, LogBuffer log, std::uint64_t result_bytes_max);

  Fd control_;
  pid_t pid_;
  LogBuffer log_;
  std::uint64_t result_bytes_max_;
  std::uint64_t next_ticket_ = 1;
  bool ready_ = false;
  bool gone_ = false;
  std::unique_ptr<char[]> buffer_;  // of a reply; not filled, as most replies are short
};

}  // namespace fanfare::worker
