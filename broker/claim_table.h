// Which callers' ids and keys are taken, as far as this broker knows.
//
// The broker is the only one that claims, so what it does not know, and what Redis does not know
// when asked, is free. While an event waits to be journaled its claims are `wanted`: they stay here
// until it lets go of them, so that what has been looked up stays true. A claim under way (its
// append is not answered) stays, too. Of those made the latest are kept, so that a burst of
// repeats does not have to ask Redis.
//
// Without a journal (class memory) there is nobody to ask: what is not here is free, and the bound
// is the end of what is remembered.
//
// Bounds: what waits and is under way is bounded by intake; `kept_max` claims that were made, about
// 150 bytes each, in two generations of which the older is dropped.
//
// No I/O, no clock of its own, not thread-safe: lives with the broker's core.
#pragma once

#include <cstdint>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "broker/claims.h"

namespace fanfare::broker {

struct ClaimLimits {
  Duration window = std::chrono::minutes{5};  // after which a claim made here has to be looked up
  std::size_t kept_max = 262'144;
  bool journaled = true;
};

class ClaimTable {
 public:
  enum class State : std::uint8_t {
    kUnknown,   // being looked up
    kFree,      // nobody has it
    kUnderWay,  // its append is not answered yet
    kTaken,
  };

  explicit ClaimTable(ClaimLimits limits) : limits_(limits) {}

  // An event waits that has this key. True if it has to be looked up: once, for the first.
  bool want(const ClaimKey& key, TimePoint now);
  // One of those who wanted it is decided.
  void let_go(const ClaimKey& key);

  // Of a key that is wanted or under way.
  State state(const ClaimKey& key) const { return held_.at(key).state; }
  // Who has a key that is taken or under way; null otherwise.
  const Claimed* holder(const ClaimKey& key) const;

  void on_looked_up(const ClaimKey& key, std::optional<Claimed> found);
  void claim(const ClaimKey& key, Claimed by);       // kFree → kUnderWay
  void confirm(const ClaimKey& key, TimePoint now);  // kUnderWay → kTaken
  void release(const ClaimKey& key);                 // kUnderWay → kFree: its append failed

  // Redis may have lost what was made. Returns those that are wanted: to be looked up anew.
  std::vector<ClaimKey> forget_taken();

  std::size_t kept() const { return kept_.size() + older_.size(); }
  std::size_t held() const { return held_.size(); }

 private:
  struct Hash {  // the keys are hashes already
    std::size_t operator()(const ClaimKey& key) const {
      std::size_t hash = 0;
      std::memcpy(&hash, key.data(), sizeof hash);
      return hash;
    }
  };
  struct Held {
    State state = State::kUnknown;
    std::uint32_t wanted = 0;
    Claimed by;
  };
  struct Kept {
    Claimed by;
    TimePoint made;
  };
  using Generation = std::unordered_map<ClaimKey, Kept, Hash>;
  const Claimed* find_kept(const ClaimKey& key, TimePoint now) const;
  void drop_if_idle(const ClaimKey& key);

  ClaimLimits limits_;
  std::unordered_map<ClaimKey, Held, Hash> held_;  // wanted or under way
  Generation kept_, older_;
};

}  // namespace fanfare::broker
