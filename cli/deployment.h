// Following a deployment until every worker has said whether it can run the function.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "base/time.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

struct Deployed {
  std::string name;
  std::uint64_t generation = 0;  // 0: not known yet
  std::string digest;
  bool changed = true;               // false: it was deployed like this already
  bool pending = false;              // nobody waited for it
  std::vector<std::string> workers;  // that have started it
  std::vector<std::string>
      missing_destinations;  // of its manifest: functions that are not deployed
};

struct FollowOptions {
  bool wait = true;
  Duration timeout = std::chrono::seconds{60};  // that workers have; 1 s to 10 min
  // How many of those asked have spoken so far.
  std::function<void(std::size_t spoken, std::size_t asked)> on_progress;
};

// Asks the broker with `verb` (deploy or rollback) and follows what it begins. kReject: a worker
// could not start it, or the broker would not have it; nothing has changed. kReconnect: the
// outcome is unknown: `functions history` tells it. (A rollback without a generation to go to means
// another one the next time.)
Result<Deployed> follow_deployment(client::BlockingClient& broker, const std::string& verb,
                                   nlohmann::ordered_json body, const FollowOptions& options);

}  // namespace fanfare::cli
