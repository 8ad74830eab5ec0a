// What the broker knows of one function's outbox: how full it is, and what of it is in hand.
//
// The outbox lies in Redis and holds whatever the function's deliveries published when they ended
// (store::Publish). The broker reads it in passes from its beginning, takes in hand what can be
// published now, and appends that in groups; the append deletes the entries. What cannot be taken
// now stays where it is, for the next pass.
//
// Plain data for the broker's core.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "base/time.h"
#include "protocol/ids.h"

namespace fanfare::broker {

struct FunctionState;

struct OutboxState {
  std::uint64_t entries = 0;  // as Redis said last, less what was published since
  std::set<protocol::EntryId> in_hand;
  // What was lent last while the outbox was full; see core_circle.cc.
  std::optional<protocol::EventId> lent_alone;
  std::uint64_t published = 0;  // entries that became events, since this broker started

  // The pass that is under way.
  bool unread = false;  // there may be something behind `read_to`
  bool reading = false;
  protocol::EntryId read_to;
  std::uint64_t left = 0;   // not taken in this pass
  std::uint64_t taken = 0;  // in this pass
  // Of those not taken: how many found the queue of which function full.
  std::map<FunctionState*, std::uint64_t> left_for;
  std::map<FunctionState*, std::uint64_t> waits_for;  // the same, of the last pass that ended
  Duration rest{};                                    // between this pass and the next
  TimePoint rests_until;                              // no reading before

  void begin_anew(TimePoint when) {
    unread = true;
    read_to = {};
    left = taken = 0;
    left_for.clear();
    rests_until = when;
  }

  // A pass ends that left something. As long as passes find room for something, the next one comes
  // soon; an outbox whose destination stays full is read less and less often.
  void end_pass(TimePoint now) {
    rest = taken > 0 ? kRestMin : std::min(std::max(2 * rest, kRestMin), kRestMax);
    begin_anew(now + rest);
  }

  static constexpr Duration kRestMin = std::chrono::milliseconds{50};
  static constexpr Duration kRestMax = std::chrono::seconds{1};
};

}  // namespace fanfare::broker
