// What a benchmark measures: an installation that was named, or a temporary one of its own, with
// the no-op function deployed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/redis_sync.h"
#include "cli/child.h"
#include "cli/verbs.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

// The type of the events that benchmarks publish, and the function that gets them.
inline constexpr const char* kBenchType = "fanfare.bench";
inline constexpr const char* kBenchFunction = "fanfare-bench";
// Invokes that one.
inline constexpr const char* kBenchCaller = "fanfare-bench-caller";

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
  client::BlockingClient& client() { return *client_; }
  RedisSync& redis() { return *redis_; }

  // Deploys the no-op function, with lines added to its manifest.
  Result<void> deploy(const std::string& more_manifest);
  // Deploys the function that invokes it.
  Result<void> deploy_caller();
  // How many deliveries of it have succeeded so far.
  Result<std::int64_t> succeeded();
  // Waits until that many have; kRetryLater if nothing moves for 20 s.
  Result<void> wait_succeeded(std::int64_t count);

 private:
  BenchInstallation() = default;
  Result<void> start_temporary(const std::string& durability);
  Result<void> connect(const Address& address);
  Result<void> deploy_builtin(const std::string& builtin, const std::string& name,
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
