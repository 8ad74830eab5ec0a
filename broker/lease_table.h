// Which worker holds which delivery of a function.
//
// A delivery is lent to a worker, never given away: its session ends it by a report, or loses it,
// and then the delivery returns. Deliveries of one journal entry are lent and reported together, so
// they lie together: an entry is looked up once for its neighbours, not once for each.
//
// No I/O, no clock; not thread-safe: lives with the broker's core.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "broker/delivery_queue.h"
#include "protocol/ids.h"

namespace fanfare::broker {

using SessionId = StrongId<struct SessionTag, std::uint64_t>;

// A delivery lent to a worker.
struct Lease {
  Pending delivery;
  SessionId session;
  protocol::AttemptToken token;
  std::int64_t lent_ms = 0;  // Unix ms, for the ledger
};

class LeaseTable {
 public:
  // Replaces a lease of the same delivery, if there is one.
  void grant(Lease lease);

  // Good until the next grant, take or take_all_of. Null: nobody holds it.
  Lease* find(const protocol::EventId& id);
  const Lease* find(const protocol::EventId& id) const;
  bool contains(const protocol::EventId& id) const { return find(id) != nullptr; }

  // Ends a lease; requires that there is one.
  Lease take(const protocol::EventId& id);
  // Ends all leases of a session and returns them in the order of their ids.
  std::vector<Lease> take_all_of(SessionId session);

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::size_t held_by(SessionId session) const;
  // In no order.
  template <typename Each>
  void for_each(Each each) const {
    for (const auto& [id, entry] : entries_) {
      for (const auto& place : entry->leases) {
        if (place) each(*place);
      }
    }
  }
  template <typename Wanted>
  std::size_t count_if(Wanted wanted) const {
    std::size_t count = 0;
    for_each([&](const Lease& lease) { count += wanted(lease); });
    return count;
  }

 private:
  static constexpr std::size_t kIndexesMax = 256;
  static constexpr std::uint16_t kNowhere = std::numeric_limits<std::uint16_t>::max();

  // The leases of one journal entry, as they were granted. A place stays with its index.
  struct Entry {
    Entry() { place_of.fill(kNowhere); }
    std::array<std::uint16_t, kIndexesMax> place_of;
    std::vector<std::optional<Lease>> leases;
    std::size_t held = 0;
  };
  // Few sessions hold deliveries of one function, and neighbours in time have the same.
  struct Holder {
    SessionId session;
    std::size_t held = 0;
  };
  Holder& holder(SessionId session);
  Entry* entry_of(const protocol::EntryId& id) const;
  Lease remove(Entry& entry, std::optional<Lease>& place);

  // The key is an event id with index 0: it has a hash.
  std::unordered_map<protocol::EventId, std::unique_ptr<Entry>> entries_;
  mutable protocol::EntryId last_id_;  // neighbours come one after another
  mutable Entry* last_ = nullptr;
  std::size_t size_ = 0;
  std::vector<Holder> holders_;  // that of the last lease first
};

}  // namespace fanfare::broker
