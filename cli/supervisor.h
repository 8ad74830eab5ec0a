// A whole installation as one process tree: Redis, broker and workers as direct children.
//
// Starts them in order (each waits for the one before it to be of use), deploys functions, restarts
// a child that dies, and ends them in reverse order, so that workers can still report and commit
// while they drain. No child outlives this process, even if it is killed.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"
#include "cli/child.h"
#include "cli/installation.h"
#include "cli/restart_policy.h"
#include "cli/verbs.h"

namespace fanfare::cli {

class Supervisor {
 public:
  Supervisor(const Common& common, const UpCommand& command);
  ~Supervisor();
  Supervisor(const Supervisor&) = delete;
  Supervisor& operator=(const Supervisor&) = delete;

  // Runs until a signal ends it; the exit code.
  int run();

 private:
  // One child and what is known of its lives.
  struct Managed {
    ChildSpec spec;
    std::unique_ptr<Child> child;
    RestartPolicy policy;
    std::unique_ptr<Timer> restart;
    TimePoint started;
    bool wanted = true;
    std::optional<ChildEnd> end;  // of its last life
    std::size_t log_begins = 0;   // where this run's part of its log does
  };

  Result<void> start_all();
  Result<void> prepare_directory();
  Result<void> take_lock();
  Result<void> write_config() const;
  Result<void> start_redis();
  Result<void> start_broker();
  Result<void> start_workers();
  Result<void> start_gateway();
  Result<std::vector<std::string>> deploy_all();
  struct Folder {
    std::string path;
    bool shipped = false;  // with this package, not the user's
  };
  Result<std::vector<Folder>> folders_to_deploy() const;

  Managed& add(ChildSpec spec);
  Result<void> launch(Managed& managed);
  void on_exit(Managed& managed, const ChildEnd& end);
  // Turns the loop until `ready` says so; an error if a child dies first or time runs out.
  Result<void> wait_for(const std::string& what, const std::function<bool()>& ready,
                        Duration at_most);
  Result<std::size_t> connected_workers();

  void on_signal();
  void drain();
  // Ends children one after the other: `signal` first, SIGKILL after `patience` or a second signal.
  void end_children(const std::vector<Managed*>& children, int signal, Duration patience);
  void say(const std::string& line) const;
  void announce(const std::vector<std::string>& functions) const;

  const Common& common_;
  const UpCommand& command_;
  Installation installation_;
  std::string redis_url_;
  std::string gateway_url_;  // empty: there is none
  Loop loop_;
  std::unique_ptr<SignalWatch> signals_;
  int lock_fd_ = -1;
  bool started_ = false;
  int stop_signals_ = 0;
  std::vector<std::unique_ptr<Managed>> children_;  // in the order of their start
};

// The command line of the installation's own Redis.
std::vector<std::string> redis_command(const Installation& installation,
                                       const std::string& durability);

}  // namespace fanfare::cli
