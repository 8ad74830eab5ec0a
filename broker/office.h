// Whether this broker is still the one in office, as far as it knows.
//
// Another one takes over by a call to Redis, which fences every later call of this one. But what
// this broker lends from its memory passes Redis by: one that stood still while it was replaced
// would go on lending until Redis' next answer. For most of that the tokens are enough; what must
// never run twice at once (ordering keys, max_concurrency) is lent only while a proof of office is
// fresh. Whoever takes over waits longer than any proof holds before it lends such things.
//
// A proof is an answer of Redis' to a fenced call, as old as the asking. No I/O, no clock.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "base/time.h"

namespace fanfare::broker {

class Office {
 public:
  // A proof lets lend for so long; that and what clocks and a message's way may add is what a
  // successor waits for.
  static constexpr Duration kHolds = std::chrono::milliseconds{200};
  static constexpr Duration kSuccessorWaits = std::chrono::milliseconds{300};
  // Also one that has nothing to do must find out and end: its workers wait with it.
  static constexpr Duration kLookEvery = std::chrono::seconds{1};
  // While something waits for a proof that Redis did not give.
  static constexpr Duration kAgainAfter = std::chrono::milliseconds{100};

  void asked(TimePoint now) { asked_at_ = now; }
  void answered() { asking_ended_at_ = std::exchange(asked_at_, std::nullopt); }
  bool asking() const { return asked_at_.has_value(); }

  // Redis has taken a fenced call that was sent then.
  void proved(TimePoint sent) { proved_at_ = proved_at_ ? std::max(*proved_at_, sent) : sent; }
  bool holds(TimePoint now) const { return proved_at_ && now - *proved_at_ <= kHolds; }
  // So that who lends all the time never has to wait for a proof.
  bool ages(TimePoint now) const { return !proved_at_ || now - *proved_at_ > kHolds / 2; }

  // Whether to ask although nobody lends.
  bool wants_look(TimePoint now, bool somebody_waits) const {
    if (asking()) return false;
    const Duration pause = somebody_waits ? kAgainAfter : kLookEvery;
    return !asking_ended_at_ || now - *asking_ended_at_ >= pause;
  }

 private:
  std::optional<TimePoint> proved_at_, asked_at_, asking_ended_at_;
};

}  // namespace fanfare::broker
