#include "broker/lease_table.h"

#include <algorithm>
#include <utility>

namespace fanfare::broker {

LeaseTable::Entry* LeaseTable::entry_of(const protocol::EntryId& id) const {
  if (last_ && last_id_ == id) return last_;
  const auto at = entries_.find({id, 0});
  if (at == entries_.end()) return nullptr;
  last_id_ = id;
  return last_ = at->second.get();
}

LeaseTable::Holder& LeaseTable::holder(SessionId session) {
  const auto at = std::ranges::find(holders_, session, &Holder::session);
  if (at == holders_.end()) return *holders_.insert(holders_.begin(), Holder{session});
  if (at != holders_.begin()) std::iter_swap(at, holders_.begin());
  return holders_.front();
}

std::size_t LeaseTable::held_by(SessionId session) const {
  const auto at = std::ranges::find(holders_, session, &Holder::session);
  return at == holders_.end() ? 0 : at->held;
}

void LeaseTable::grant(Lease lease) {
  const protocol::EventId id = lease.delivery.id;
  Entry* entry = entry_of(id.entry);
  if (!entry) {
    auto owned = std::make_unique<Entry>();
    owned->leases.reserve(lease.delivery.entry_size);
    entry = last_ = owned.get();
    last_id_ = id.entry;
    entries_.emplace(protocol::EventId{id.entry, 0}, std::move(owned));
  }
  std::uint16_t& place = entry->place_of[id.index];
  if (place == kNowhere) {
    place = static_cast<std::uint16_t>(entry->leases.size());
    entry->leases.emplace_back();
  }
  if (auto& former = entry->leases[place]) {
    --holder(former->session).held;
  } else {
    ++entry->held;
    ++size_;
  }
  ++holder(lease.session).held;
  entry->leases[place] = std::move(lease);
}

const Lease* LeaseTable::find(const protocol::EventId& id) const {
  Entry* const entry = entry_of(id.entry);
  if (!entry) return nullptr;
  const std::uint16_t place = entry->place_of[id.index];
  if (place == kNowhere || !entry->leases[place]) return nullptr;
  return &*entry->leases[place];
}

Lease* LeaseTable::find(const protocol::EventId& id) {
  return const_cast<Lease*>(std::as_const(*this).find(id));
}

Lease LeaseTable::remove(Entry& entry, std::optional<Lease>& place) {
  Lease lease = std::move(*place);
  place.reset();
  --entry.held;
  --size_;
  --holder(lease.session).held;
  return lease;
}

Lease LeaseTable::take(const protocol::EventId& id) {
  Entry& entry = *entry_of(id.entry);
  Lease lease = remove(entry, entry.leases[entry.place_of[id.index]]);
  if (entry.held == 0) {
    last_ = nullptr;
    entries_.erase({id.entry, 0});
  }
  return lease;
}

std::vector<Lease> LeaseTable::take_all_of(SessionId session) {
  std::vector<Lease> taken;
  last_ = nullptr;
  std::erase_if(entries_, [&](auto& entry) {
    for (auto& place : entry.second->leases) {
      if (place && place->session == session) taken.push_back(remove(*entry.second, place));
    }
    return entry.second->held == 0;
  });
  std::erase_if(holders_, [&](const Holder& one) { return one.session == session; });
  std::ranges::sort(taken, {}, [](const Lease& lease) { return lease.delivery.id; });
  return taken;
}

}  // namespace fanfare::broker
