#include "broker/key_table.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fanfare::broker {
namespace {

void sort_by_id(std::vector<Pending>& deliveries) {
  std::ranges::sort(deliveries, {}, [](const Pending& one) { return one.id; });
}

}  // namespace

void KeyTable::insert(Key& key, std::list<Pending>::iterator at, Pending&& delivery) {
  ++waiting_;
  if (delivery.origin == protocol::Origin::kLater) ++rows_waiting_;
  key.waiting.insert(at, std::move(delivery));
}

Pending KeyTable::take_out(Key& key, std::list<Pending>::iterator at) {
  Pending delivery = std::move(*at);
  key.waiting.erase(at);
  --waiting_;
  if (delivery.origin == protocol::Origin::kLater) --rows_waiting_;
  return delivery;
}

bool KeyTable::is_its_turn(const Pending& delivery) const {
  return delivery.origin != protocol::Origin::kLater || !its_turn_ || its_turn_(delivery);
}

// A key is free, or its holder itself came back while the table was not open.
bool KeyTable::first_may_go(const Key& key) const {
  if (!open_ || key.waiting.empty()) return false;
  const Pending& first = key.waiting.front();
  return is_holder(first.id) || (key.holders == 0 && is_its_turn(first));
}

// The first of a key goes, if it may; a key that nobody has and nobody waits for is forgotten.
std::optional<Pending> KeyTable::next_of(Keys::iterator at) {
  Key& key = at->second;
  if (first_may_go(key)) {
    Pending next = take_out(key, key.waiting.begin());
    hold(at->first, next.id);
    return next;
  }
  if (key.holders == 0 && key.waiting.empty()) keys_.erase(at);
  return std::nullopt;
}

std::vector<Pending> KeyTable::promote() {
  std::vector<Pending> going;
  for (auto at = keys_.begin(); at != keys_.end();) {
    const auto key = at++;
    if (auto next = next_of(key)) going.push_back(*std::move(next));
  }
  sort_by_id(going);
  return going;
}

std::vector<Pending> KeyTable::open() {
  open_ = true;
  return promote();
}

std::optional<Pending> KeyTable::add(Pending delivery) {
  unpark(delivery.id);
  const std::uint64_t flow = delivery.flow;
  Key& key = keys_[flow];
  const bool has_it = is_holder(delivery.id);
  if (open_ && (has_it || (key.holders == 0 && key.waiting.empty() && is_its_turn(delivery)))) {
    hold(delivery.flow, delivery.id);
    return delivery;
  }
  auto place = has_it ? key.waiting.begin() : key.waiting.end();
  // Before rows that fell due when it was there, by the same measure as `its_turn` has: what the
  // journal has of a row's last millisecond is before it, and none that was read waits for a row
  // that waits for more to be read.
  const auto there_ms = static_cast<std::int64_t>(delivery.id.entry.ms);
  while (!has_it && delivery.origin == protocol::Origin::kJournal && place != key.waiting.begin()) {
    const Pending& before = *std::prev(place);
    if (before.origin != protocol::Origin::kLater || before.due_ms < there_ms ||
        is_holder(before.id)) {
      break;
    }
    --place;
  }
  const bool is_first = place == key.waiting.begin();
  insert(key, place, std::move(delivery));
  return is_first ? next_of(keys_.find(flow)) : std::nullopt;
}

bool KeyTable::would_wait(const Pending& delivery) const {
  return !is_holder(delivery.id) &&
         (!open_ || keys_.contains(delivery.flow) || !is_its_turn(delivery));
}

std::optional<Pending> KeyTable::put_back(Pending delivery) {
  if (is_holder(delivery.id)) return delivery;
  const auto at = keys_.try_emplace(delivery.flow).first;
  insert(at->second, at->second.waiting.begin(), std::move(delivery));
  return next_of(at);
}

void KeyTable::hold(std::uint64_t key, const protocol::EventId& id) {
  unpark(id);
  if (holders_.emplace(id, key).second) ++keys_[key].holders;
}

std::vector<protocol::EventId> KeyTable::rivals(std::uint64_t key,
                                                const protocol::EventId& id) const {
  std::vector<protocol::EventId> ids;
  const auto at = keys_.find(key);
  if (at == keys_.end()) return ids;
  for (const Pending& waiting : at->second.waiting) {
    if (waiting.id < id) ids.push_back(waiting.id);
  }
  if (at->second.holders <= (is_holder(id) ? 1u : 0u)) return ids;
  for (const auto& [holder, held] : holders_) {
    if (held == key && holder != id) ids.push_back(holder);
  }
  return ids;
}

void KeyTable::drop(const protocol::EventId& id) {
  const auto holder = holders_.find(id);
  if (holder == holders_.end()) return;
  --keys_.at(holder->second).holders;
  holders_.erase(holder);
  unpark(id);
}

std::optional<Pending> KeyTable::release(const protocol::EventId& id) {
  const auto holder = holders_.find(id);
  if (holder == holders_.end()) return std::nullopt;
  const std::uint64_t key = holder->second;
  drop(id);
  return next_of(keys_.find(key));
}

void KeyTable::park(const protocol::EventId& id, std::int64_t due_ms) {
  if (is_holder(id)) parked_.insert_or_assign(id, due_ms);
}

void KeyTable::unpark(const protocol::EventId& id) {
  if (!parked_.empty()) parked_.erase(id);
}

std::optional<Pending> KeyTable::take_by_id(const protocol::EventId& id) {
  for (auto at = keys_.begin(); at != keys_.end(); ++at) {
    Key& key = at->second;
    const auto wanted =
        std::ranges::find_if(key.waiting, [&](const Pending& one) { return one.id == id; });
    if (wanted == key.waiting.end()) continue;
    Pending delivery = take_out(key, wanted);
    if (key.holders == 0 && key.waiting.empty()) keys_.erase(at);
    return delivery;
  }
  return std::nullopt;
}

const Pending* KeyTable::find(const protocol::EventId& id) const {
  for (const auto& [name, key] : keys_) {
    const auto at = std::ranges::find(key.waiting, id, &Pending::id);
    if (at != key.waiting.end()) return &*at;
  }
  return nullptr;
}

std::int64_t KeyTable::oldest_ms() const {
  std::int64_t oldest = 0;
  for (const auto& [name, key] : keys_) {
    if (key.waiting.empty()) continue;
    const std::int64_t first = key.waiting.front().accepted_ms;
    oldest = oldest == 0 ? first : std::min(oldest, first);
  }
  return oldest;
}

std::vector<Pending> KeyTable::forget_journal() {
  std::vector<Pending> dropped;
  for (auto& [name, key] : keys_) {
    std::erase_if(key.waiting, [&](Pending& one) {
      if (one.origin != protocol::Origin::kJournal) return false;
      dropped.push_back(std::move(one));
      --waiting_;
      return true;
    });
  }
  return dropped;
}

}  // namespace fanfare::broker
