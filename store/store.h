// Whoever answers calls: a Redis (redis_store.h), or a broker that passes them on to its own.
//
// A caller hears of each call exactly once: its answer, or why it had no effect. Who answers keeps
// calls whose outcome is unknown and repeats them, unchanged, until they are answered; what is
// outstanding is bounded, and a call above the bound is answered kRetryLater. kReject: the call
// itself is wrong; kStale: another broker has taken over; kFatal: a person must act; kReconnect:
// nobody knows whether the call had its effect, which the same call once more will tell.
//
// On the loop's thread; `done` never runs inside call().
#pragma once

#include <functional>

#include "base/result.h"
#include "store/calls.h"

namespace fanfare::store {

class Store {
 public:
  using Done = std::function<void(Result<Answer>)>;

  virtual ~Store() = default;
  virtual void call(Call call, Done done) = 0;
};

}  // namespace fanfare::store
