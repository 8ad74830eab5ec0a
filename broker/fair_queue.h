// Deliveries of one priority that may be lent, one from each tenant in turn.
//
// Turns are counted in deliveries, not in bytes: what tenants compete for is the time of instances,
// and an event's size says little of it. Deliveries without a tenant are one tenant among the
// others, and so are all that have an ordering key. Within a tenant the first comes first.
//
// A tenant that comes has its turn after those that wait already: a flood of 50,000 is one turn
// ahead of it, not 50,000.
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
  bool empty() const { return turns_.empty(); }
  void push(Pending&& delivery);
  Pending take();  // requires that it is not empty

  std::optional<Pending> take_by_id(const protocol::EventId& id);
  const Pending* find(const protocol::EventId& id) const;
  // 0 if there is none; else the smallest accepted_ms of those that are first of their tenants.
  std::int64_t oldest_ms() const;
  std::size_t tenants() const { return turns_.size(); }

  template <typename Wanted>
  bool any_of(Wanted wanted) const {
    return std::ranges::any_of(
        turns_, [&](const Flow* flow) { return flow->waiting.find_if(wanted) != nullptr; });
  }

  // Drops those for which `unwanted` says so.
  template <typename Unwanted>
  void erase_if(Unwanted unwanted) {
    for (Flow* flow : std::exchange(turns_, {})) {
      flow->waiting.erase_if(unwanted);
      if (!flow->waiting.empty()) {
        turns_.push_back(flow);
      } else {
        forget(flow);
      }
    }
  }

 private:
  struct Flow {
    std::uint64_t name = 0;
    Fifo<Pending> waiting;
  };
  Flow& flow_of(const Pending& delivery);
  void forget(Flow* flow);

  // Most functions know no tenants: these two need no look-up.
  Flow plain_{.name = 0, .waiting = {}};
  Flow ordered_{.name = 1, .waiting = {}};
  std::unordered_map<std::uint64_t, Flow> tenants_;
  std::deque<Flow*> turns_;  // that have something waiting, the next one first
};

}  // namespace fanfare::broker
