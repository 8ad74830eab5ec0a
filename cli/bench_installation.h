// What a benchmark measures: an installation that was named, or a temporary one of its own, with
// the no-op function deployed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/redis_sync.h"
#include "cli/child.h"
#include "cli/deploy.h"
#include "cli/verbs.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

// The type of the events that benchmarks publish, and the function that gets them.
inline constexpr const char* kBenchType = "fanfare.bench";
inline constexpr const char* kBenchFunction = "fanfare-bench";
// Invokes that one.
inline constexpr const char* kBenchCaller = "fanfare-bench-caller";
// Paused, with events that wait for it.
inline constexpr const char* kBenchWaiting = "fanfare-bench-waiting";
// The first is kBenchFunction with kBenchType.
std::string bench_function(std::uint32_t number);
std::string bench_type(std::uint32_t number);

class BenchInstallation {
 public:
  // Starts one in /var/tmp (on a disk, unlike many a /tmp) unless `common` names one.
  static Result<std::unique_ptr<BenchInstallation>> open(const Common& common,
                                                         const BenchCommand& command);
  ~BenchInstallation();  // removes the function; ends and removes a temporary installation
  BenchInstallation(const BenchInstallation&) = delete;
  BenchInstallation& operator=(const BenchInstallation&) = delete;

  // For clients of one's own.
  const client::ClientOptions& broker() const { return broker_; }
  const std::string& durability() const { return durability_; }
  // All its processes are below this one.
  bool temporary() const { return !temporary_.empty(); }
  // Where its processes note the way of each event, if command.hops says so.
  std::string trace_folder() const { return temporary_ + "/trace"; }
  client::BlockingClient& client() { return *client_; }
  RedisSync& redis() { return *redis_; }

  // Deploys the no-op functions, with lines added to their manifests, and those that only
  // subscribe.
  Result<void> deploy(const BenchCommand& command, const std::string& more_manifest);
  // Deploys one more that gets kBenchWaiting events, and pauses it.
  Result<void> deploy_waiting();
  // Deploys the function that invokes it.
  Result<void> deploy_caller();
  // "pause" or "resume".
  Result<void> tell(const char* verb, const std::string& function);
  // How many deliveries of it have succeeded so far.
  Result<std::int64_t> succeeded(const std::string& function = kBenchFunction);
  // Waits until that many have; kRetryLater if nothing moves for 20 s.
  Result<void> wait_succeeded(std::int64_t count, const std::string& function = kBenchFunction);

 private:
  BenchInstallation() = default;
  Result<void> start_temporary(const BenchCommand& command);
  Result<void> connect(const Address& address);
  Result<void> deploy_subscribers(const Checked& noop, std::uint32_t subscriptions);
  Result<void> deploy_as(Checked builtin, const std::string& name,
                         const std::string& more_manifest);

  Loop loop_;
  std::string temporary_;  // its directory; empty if the installation was named
  std::unique_ptr<Child> up_;
  client::ClientOptions broker_;
  std::string durability_;
  std::unique_ptr<client::BlockingClient> client_;
  std::unique_ptr<RedisSync> redis_;
  std::vector<std::string> deployed_;  // functions' names
};

}  // namespace fanfare::cli
