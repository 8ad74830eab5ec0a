// What the broker knows of one function's outbox: how full it is, and what of it is in hand.
//
// The outbox lies in Redis and holds whatever the function's deliveries published when they ended
// (store::Publish). The broker reads it in passes from its beginning, takes in hand what can be
// published now, and appends that in groups; the append deletes the entries. What cannot be taken
// now stays where it is, for the next pass.
//
// Plain data for the broker's core.
#pragma once

#include <cstdint>
#include <set>

#include "base/time.h"
#include "protocol/ids.h"

namespace fanfare::broker {

struct OutboxState {
  std::uint64_t entries = 0;  // as Redis said last, less what was published since
  std::set<protocol::EntryId> in_hand;

  // The pass that is under way.
  bool unread = false;  // there may be something behind `read_to`
  bool reading = false;
  protocol::EntryId read_to;
  std::uint64_t left = 0;  // not taken in this pass
  TimePoint rests_until;   // no reading before

  void begin_anew(TimePoint when) {
    unread = true;
    read_to = {};
    left = 0;
    rests_until = when;
  }
};

}  // namespace fanfare::broker
