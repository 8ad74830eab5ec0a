// Deliveries of one priority that may be lent, one from each tenant in turn.
//
// Turns are counted in deliveries, not in bytes: what tenants compete for is the time of instances,
// and an event's size says little of it. Deliveries without a tenant are one tenant among the
// others, and so are all that have an ordering key. Within a tenant the first comes first.
//
// A tenant that had nothing here goes next, once, and takes its turn among the others from then on:
// who sends little waits for nobody's flood. One whose turn has left nothing of it keeps its place
// among them until it would be its turn again, so coming anew each time gains nothing (the two
// lists of flow queueing, RFC 8290, section 4.2). However many tenants come anew, those in turn
// get one delivery in nine.
//
// No I/O, no clock; not thread-safe: lives with the broker's core.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "broker/fifo.h"
#include "broker/pending.h"

namespace fanfare::broker {

class FairQueue {
 public:
  bool empty() const { return size_ == 0; }
  void push(Pending&& delivery);
  Pending take();  // requires that it is not empty
  // Whether a tenant goes next that had nothing here, before others that wait; and its delivery.
  bool has_fresh() const { return !fresh_.empty() && !turns_.empty(); }
  Pending take_fresh();  // requires it

  std::optional<Pending> take_by_id(const protocol::EventId& id);
  const Pending* find(const protocol::EventId& id) const;
  // 0 if there is none; else the smallest accepted_ms of those that are first of their tenants.
  std::int64_t oldest_ms() const;
  std::size_t tenants() const;  // that have something waiting

  template <typename Wanted>
  bool any_of(Wanted wanted) const {
    const auto has = [&](const Flow* flow) { return flow->waiting.find_if(wanted) != nullptr; };
    return std::ranges::any_of(fresh_, has) || std::ranges::any_of(turns_, has);
  }

  // Drops those for which `unwanted` says so.
  template <typename Unwanted>
  void erase_if(Unwanted unwanted) {
    for (std::deque<Flow*>* list : {&fresh_, &turns_}) {
      for (Flow* flow : *list) {
        flow->waiting.erase_if([&](Pending& one) {
          if (!unwanted(one)) return false;
          --size_;
          return true;
        });
      }
    }
    tidy();
  }

 private:
  struct Flow {
    std::uint64_t name = 0;
    bool listed = false;  // in one of the two lists
    Fifo<Pending> waiting;
  };
  Flow& flow_of(const Pending& delivery);
  Flow* next();
  Pending take_from(Flow* flow);
  void forget(Flow* flow);
  void tidy();
  void forget_if_empty();

  // Most functions know no tenants: these two need no look-up.
  Flow plain_{.name = 0, .waiting = {}};
  Flow ordered_{.name = 1, .waiting = {}};
  std::unordered_map<std::uint64_t, Flow> tenants_;
  std::deque<Flow*> fresh_;       // that came when they had nothing here
  std::deque<Flow*> turns_;       // the others, the next one first; some have nothing left
  std::size_t fresh_in_row_ = 0;  // taken since the last of the others
  std::size_t size_ = 0;
};

}  // namespace fanfare::broker
