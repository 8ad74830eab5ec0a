// Deploying a function's folder: checked here, stored in Redis by its digest, announced to the
// broker.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "base/result.h"
#include "cli/deployment.h"
#include "client/blocking_client.h"

namespace fanfare::cli {

// A folder that has passed every check that needs neither Redis nor a broker.
struct Checked {
  std::string name, manifest_toml, package, digest;
  std::string manifest_file;
  std::string runtime = "native";
  std::vector<std::string> patterns;
};

// Reads function.toml, packs the folder, and loads a native handler in a process of its own (what
// it runs on loading cannot hurt this one). A handler of runtime "provided" only has to be there.
// kReject with the file and the reason: bad manifest, missing handler, wrong ABI, missing symbol,
// failed init, too large.
Result<Checked> check_function(const std::string& folder);

// What its author should hear although it can be deployed, one line each: that no event reaches it,
// that a pattern asks for an attribute that no event has, that it wants a worker of its own.
std::vector<std::string> remarks(const Checked& checked);

// Puts the package into Redis, then tells the broker, which checks the manifest again, has every
// worker try the function, and hands it to them. kReject: see follow_deployment.
Result<Deployed> deploy_function(const Checked& checked, RedisSync& redis,
                                 client::BlockingClient& broker, const FollowOptions& options = {});

}  // namespace fanfare::cli
