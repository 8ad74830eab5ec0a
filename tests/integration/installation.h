// A whole installation of real processes in a temporary directory: Redis, broker and worker, each
// of which can be killed and started again by itself. All are gone when the object goes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/loop.h"
#include "cli/child.h"
#include "client/blocking_client.h"
#include "protocol/ids.h"
#include "protocol/record.h"
#include "tests/support/redis_server.h"
#include "tests/support/temp_dir.h"

namespace fanfare::test {

// A child process with an end that can be waited for.
class Process {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;
  Process(std::vector<std::string> command, Environment environment, std::string log_file);

  pid_t pid() const { return child_->pid(); }
  bool running() const { return child_->running(); }
  void kill_hard();                               // SIGKILL, waits until it is gone
  std::optional<int> wait_end(Duration at_most);  // its exit code, nothing if it still runs

 private:
  Loop loop_;
  std::optional<cli::ChildEnd> end_;
  std::unique_ptr<cli::Child> child_;
};

// Looks every few milliseconds until `done` or the time is up; returns what `done` said last.
bool eventually(const std::function<bool()>& done, Duration at_most = std::chrono::seconds{20});

struct InstallationOptions {
  std::string durability = "fsync";
  // FANFARE_BROKER_… and FANFARE_WORKER_… beside, or instead of, what the installation says itself
  Process::Environment broker = {}, worker = {};
  RedisServerOptions redis;
};

class Installation {
 public:
  // Ready to run functions when it returns. Throws, with the logs, if it does not come up.
  explicit Installation(InstallationOptions options = {});
  ~Installation();

  RedisServer& redis() { return redis_; }
  client::BlockingClient& client() { return *client_; }
  std::string endpoint() const { return "ipc://" + dir_.file("broker.ipc"); }
  std::string file(const std::string& name) const { return dir_.file(name); }
  std::string logs() const;  // the last lines of each process

  // Deploys a function of the build tree ("builtin/noop", "functions-testing/crash") under its own
  // name, for events whose type is that name.
  void deploy(const std::string& folder, const std::string& more_manifest = {});

  // Publishes one event and waits for the acknowledgement; throws if it is refused.
  protocol::EventId publish(const std::string& type, const std::string& data);
  // One for each data, without waiting in between; the ids are in their order.
  std::vector<protocol::EventId> publish_all(const std::string& type,
                                             const std::vector<std::string>& data);
  // The stored result, once it is there; throws after `at_most`.
  protocol::ResultRecord result(const std::string& function, const protocol::EventId& id,
                                Duration at_most = std::chrono::seconds{15});

  Process& broker() { return *broker_; }
  Process& worker() { return *worker_; }
  void start_broker();
  void start_worker();
  // One more worker beside it, of the same kind; it goes with the object that is returned.
  std::unique_ptr<Process> start_another_worker(const std::string& name,
                                                const Process::Environment& more = {});
  // The same, without waiting until it has joined.
  std::unique_ptr<Process> launch_worker(const std::string& name,
                                         const Process::Environment& more = {});
  std::vector<pid_t> children_of_worker() const;

 private:
  bool broker_answers(std::size_t workers);

  TempDir dir_;
  std::string durability_;
  Process::Environment broker_environment_, worker_environment_;
  RedisServer redis_;
  std::unique_ptr<Process> broker_, worker_;
  std::unique_ptr<client::BlockingClient> client_;
};

}  // namespace fanfare::test
