// A process that this one started and looks after.
//
// It dies with its parent whatever happens (the kernel sends it `death_signal`), hears no Ctrl-C of
// the terminal (it is in a process group of its own, so that the parent decides the order of the
// end), and writes its output to a log file.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "base/process.h"
#include "base/result.h"

namespace fanfare::cli {

struct ChildSpec {
  std::string name;                  // "broker", for messages
  std::vector<std::string> command;  // the first is a path, or found in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's own
  std::string log_file;                                          // appended to
  int death_signal = SIGKILL;
  int inherited_fd = -1;  // stays open in the child
};

struct ChildEnd {
  int exit_code = 0;  // 128 + signal if it was killed
  std::string how;    // "exit code 2", "signal 9 (Killed)"
};

class Child {
 public:
  // `on_exit` is called once, on the loop. Must be called on the thread that lives longest: the
  // death signal is sent when it ends. kFatal if the program cannot be started.
  static Result<std::unique_ptr<Child>> start(Loop& loop, const ChildSpec& spec,
                                              std::function<void(const ChildEnd&)> on_exit);
  ~Child();  // kills and reaps it if it still runs
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  bool running() const { return running_; }
  void send_signal(int signal) const;

 private:
  Child(pid_t pid, std::function<void(const ChildEnd&)> on_exit);
  void reap();

  pid_t pid_;
  bool running_ = true;
  std::function<void(const ChildEnd&)> on_exit_;
  std::unique_ptr<PidWatch> watch_;
};

// How a wait status reads.
ChildEnd describe_end(int wait_status);

// The last lines of a log file, for an error message; empty if there are none. What stands before
// `begin`, a place in bytes, is not looked at.
std::string last_lines(const std::string& file, std::size_t count, std::size_t begin = 0);

}  // namespace fanfare::cli
