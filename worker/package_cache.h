// Packages of functions on this host: fetched from Redis by digest, verified, unpacked once.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/redis_link.h"
#include "base/result.h"

namespace fanfare::worker {

// On its own connection, so that a large package never stands between results and Redis.
class PackageCache {
 public:
  PackageCache(Loop& loop, std::string folder, RedisOptions redis);

  // Makes the folder; kFatal if it cannot be written to.
  Result<void> prepare();

  // Where the package is unpacked, complete; empty if it is not here (yet).
  std::string find(const std::string& digest) const;

  // Fetches it and calls back once with its folder, waiting for Redis as long as it takes. kReject:
  // no such package, or its bytes are damaged.
  using Done = std::function<void(const Result<std::string>& folder)>;
  void fetch(const std::string& digest, Done done);

 private:
  void ask(std::string digest, Done done);
  Result<std::string> take(const std::string& digest, const RedisReply& reply);

  std::string folder_;
  struct Waiting {
    std::string digest;
    Done done;
  };
  std::deque<Waiting> waiting_;  // for Redis to come back
  std::unique_ptr<RedisLink> link_;
};

}  // namespace fanfare::worker
