// Calls to Redis, answered by the broker: for a worker that has no way to Redis of its own.
//
// What a RedisStore promises holds here, too (store.h): a call whose outcome is unknown goes out
// again, the same bytes, and is taken once. It waits for a broker as it would for Redis. Order
// between calls is not kept: a worker's calls do not depend on each other.
#pragma once

#include "store/store.h"
#include "worker/relay.h"

namespace fanfare::worker {

class BrokerStore final : public store::Store {
 public:
  // `relay` outlives it.
  explicit BrokerStore(Relay& relay) : relay_(relay) {}
  void call(store::Call call, Done done) override;

 private:
  Relay& relay_;
};

}  // namespace fanfare::worker
