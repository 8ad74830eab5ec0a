#include "broker/delivery_queue.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace fanfare::broker {
namespace {

constexpr std::uint32_t kEntriesPerPage = 16;

int priority_of(protocol::Lane lane) {
  return lane.number / 17;
}

template <typename Deque>
auto find_id(Deque& deliveries, const protocol::EventId& id) {
  return std::find_if(deliveries.begin(), deliveries.end(),
                      [&](const Pending& pending) { return pending.id == id; });
}

}  // namespace

bool DeliveryQueue::has_room(const Window& window) const {
  return window.ready.size() < limits_.deliveries_max && window.bytes < limits_.bytes_max;
}

void DeliveryQueue::add(Window& window, Pending&& delivery) {
  window.bytes += delivery.bytes();
  bytes_ += delivery.bytes();
  ++size_;
  window.ready.push_back(std::move(delivery));
}

Pending DeliveryQueue::account_for(Pending delivery) {
  bytes_ -= delivery.bytes();
  --size_;
  return delivery;
}

Pending DeliveryQueue::remove_front(Window& window) {
  Pending delivery = std::move(window.ready.front());
  window.ready.pop_front();
  window.bytes -= delivery.bytes();
  return account_for(std::move(delivery));
}

bool DeliveryQueue::offer(protocol::Lane lane, protocol::EntryId entry,
                          std::vector<Pending>& deliveries) {
  Window& window = lanes_[lane];
  if (entry <= window.read_to) return false;
  if (window.unread || !has_room(window)) {
    window.unread = true;
    return false;
  }
  for (Pending& delivery : deliveries) add(window, std::move(delivery));
  window.read_to = entry;
  return true;
}

void DeliveryQueue::push(Pending delivery) {
  const protocol::Lane lane = delivery.lane;
  add(lanes_[lane], std::move(delivery));
}

void DeliveryQueue::put_back(Pending delivery) {
  bytes_ += delivery.bytes();
  ++size_;
  returned_.push_back(std::move(delivery));
}

void DeliveryQueue::mark_unread(protocol::Lane lane) {
  lanes_[lane].unread = true;
}

void DeliveryQueue::forget_journal() {
  const auto forget = [this](std::deque<Pending>& deliveries, std::size_t* bytes) {
    std::erase_if(deliveries, [&](const Pending& delivery) {
      if (delivery.origin != protocol::Origin::kJournal) return false;
      if (bytes) *bytes -= delivery.bytes();
      bytes_ -= delivery.bytes();
      --size_;
      return true;
    });
  };
  forget(returned_, nullptr);
  for (auto& [lane, window] : lanes_) {
    forget(window.ready, &window.bytes);
    window.read_to = {};
    window.unread = true;
    window.paging = false;
  }
}

std::optional<store::Page> DeliveryQueue::next_page(const std::string& function) {
  for (auto& [lane, window] : lanes_) {
    const bool low =
        window.ready.size() <= limits_.deliveries_max / 2 && window.bytes <= limits_.bytes_max / 2;
    if (!window.unread || window.paging || !low) continue;
    window.paging = true;
    return store::Page{.function = function,
                       .lane = lane,
                       .after = window.read_to,
                       .entries_max = kEntriesPerPage};
  }
  return std::nullopt;
}

void DeliveryQueue::on_paged(protocol::Lane lane, protocol::EntryId last, bool more,
                             std::vector<Pending> deliveries) {
  Window& window = lanes_[lane];
  window.paging = false;
  window.unread = more;
  window.read_to = std::max(window.read_to, last);
  for (Pending& delivery : deliveries) add(window, std::move(delivery));
}

void DeliveryQueue::on_page_failed(protocol::Lane lane) {
  lanes_[lane].paging = false;
}

std::optional<Pending> DeliveryQueue::take() {
  if (!returned_.empty()) {
    Pending delivery = std::move(returned_.front());
    returned_.pop_front();
    return account_for(std::move(delivery));
  }
  // The first lane with deliveries has the highest priority; of its peers, the one after the lane
  // served last is next.
  const auto first = std::find_if(lanes_.begin(), lanes_.end(),
                                  [](const auto& lane) { return !lane.second.ready.empty(); });
  if (first == lanes_.end()) return std::nullopt;
  auto chosen = first;
  if (last_served_ && priority_of(*last_served_) == priority_of(first->first)) {
    for (auto at = lanes_.upper_bound(*last_served_);
         at != lanes_.end() && priority_of(at->first) == priority_of(first->first); ++at) {
      if (!at->second.ready.empty()) {
        chosen = at;
        break;
      }
    }
  }
  last_served_ = chosen->first;
  return remove_front(chosen->second);
}

std::optional<Pending> DeliveryQueue::take_by_id(const protocol::EventId& id) {
  if (const auto at = find_id(returned_, id); at != returned_.end()) {
    Pending delivery = std::move(*at);
    returned_.erase(at);
    return account_for(std::move(delivery));
  }
  for (auto& [lane, window] : lanes_) {
    const auto at = find_id(window.ready, id);
    if (at == window.ready.end()) continue;
    Pending delivery = std::move(*at);
    window.ready.erase(at);
    window.bytes -= delivery.bytes();
    return account_for(std::move(delivery));
  }
  return std::nullopt;
}

const Pending* DeliveryQueue::find(const protocol::EventId& id) const {
  if (const auto at = find_id(returned_, id); at != returned_.end()) return &*at;
  for (const auto& [lane, window] : lanes_) {
    if (const auto at = find_id(window.ready, id); at != window.ready.end()) return &*at;
  }
  return nullptr;
}

bool DeliveryQueue::has_unread() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return lane.second.unread; });
}

std::int64_t DeliveryQueue::oldest_ms() const {
  std::int64_t oldest = std::numeric_limits<std::int64_t>::max();
  for (const Pending& delivery : returned_) oldest = std::min(oldest, delivery.accepted_ms);
  for (const auto& [lane, window] : lanes_) {
    if (!window.ready.empty()) oldest = std::min(oldest, window.ready.front().accepted_ms);
  }
  return oldest == std::numeric_limits<std::int64_t>::max() ? 0 : oldest;
}

}  // namespace fanfare::broker
