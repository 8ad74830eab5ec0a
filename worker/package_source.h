// Where packages of functions come from, by digest.
//
// Waits for whoever has them as long as it takes; the bytes are not verified. kReject: there is no
// such package. Calls back once, on the loop's thread, never inside fetch().
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/redis_options.h"
#include "base/result.h"
#include "worker/relay.h"

namespace fanfare::worker {

class PackageSource {
 public:
  using Done = std::function<void(Result<std::string> bytes)>;

  virtual ~PackageSource() = default;
  virtual void fetch(const std::string& digest, Done done) = 0;
};

// From Redis, by a connection of its own, so that a large package never stands between results and
// Redis.
std::unique_ptr<PackageSource> packages_in_redis(Loop& loop, RedisOptions redis);

// Through the broker, part by part. A fetch that has begun goes on where it was at the next broker:
// the bytes under a digest never change.
class PackagesAtBroker final : public PackageSource {
 public:
  // `relay` outlives it.
  explicit PackagesAtBroker(Relay& relay) : relay_(relay) {}
  void fetch(const std::string& digest, Done done) override;

 private:
  struct Fetch {
    std::string digest;
    Done done;
    std::string bytes;
  };
  void ask(std::shared_ptr<Fetch> fetch);
  void take(std::shared_ptr<Fetch> fetch, Result<protocol::Message> answer);

  Relay& relay_;
};

}  // namespace fanfare::worker
