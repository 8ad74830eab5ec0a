#include "broker/delivery_queue.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

namespace fanfare::broker {
namespace {

constexpr std::uint32_t kEntriesPerPage = 16, kPurgedEntriesPerPage = 4;

int priority_of(protocol::Lane lane) {
  return lane.number / 17;
}

template <typename Deque>
auto find_id(Deque& deliveries, const protocol::EventId& id) {
  return std::find_if(deliveries.begin(), deliveries.end(),
                      [&](const Pending& pending) { return pending.id == id; });
}

}  // namespace

DeliveryQueue::~DeliveryQueue() {
  for (const auto& [lane, window] : lanes_) *shared_ -= window.shared;
}

// It is lent from about as fast as it fills. Where many wait for their ordering key, what it would
// take in addition would wait as well.
bool DeliveryQueue::runs(const Window& window) const {
  return window.lent > 0 && 4 * window.lent >= window.offered &&
         keys_.waiting() <= limits_.deliveries_max / 2;
}

bool DeliveryQueue::has_room(const Window& window) const {
  const std::size_t times =
      runs(window) && *shared_ < limits_.shared_bytes_max ? limits_.running_times : 1;
  return window.deliveries < times * limits_.deliveries_max &&
         window.bytes < times * limits_.bytes_max;
}

// What was taken ahead does not count: it may wait for the end of what is still to be read.
bool DeliveryQueue::is_low(const Window& window) const {
  assert(window.ahead_here <= window.deliveries && window.ahead_bytes <= window.bytes);
  return window.deliveries - window.ahead_here <= limits_.deliveries_max / 2 &&
         window.bytes - window.ahead_bytes <= limits_.bytes_max / 2;
}

void DeliveryQueue::note_offered(Window& window, std::size_t deliveries) const {
  window.offered += deliveries;
  if (window.offered < limits_.deliveries_max) return;
  window.offered /= 2;
  window.lent /= 2;
}

void DeliveryQueue::settle_share(Window& window) {
  const std::size_t now = window.bytes - std::min(window.bytes, limits_.bytes_max);
  *shared_ += now;
  *shared_ -= std::exchange(window.shared, now);
}

// Rows of `later` are bounded by their own window: they must not keep the journal from being read,
// for which those with an ordering key may be waiting.
void DeliveryQueue::count_in(Window& window, const Pending& delivery) {
  if (delivery.origin == protocol::Origin::kLater) return;
  ++window.deliveries;
  window.bytes += delivery.bytes();
  settle_share(window);
  if (ahead_.empty() || !ahead_.contains(delivery.id)) return;
  ++window.ahead_here;
  window.ahead_bytes += delivery.bytes();
  ++window.ahead_waiting[delivery.flow];
}

void DeliveryQueue::add(Window& window, Pending&& delivery) {
  count_in(window, delivery);
  bytes_ += delivery.bytes();
  ++size_;
  if (!delivery.ordered) return go(std::move(delivery));
  if (auto going = keys_.add(std::move(delivery))) go(*std::move(going));
}

void DeliveryQueue::go(Pending&& delivery) {
  knows_tenants_ = knows_tenants_ || (delivery.flow != 0 && !delivery.ordered);
  ready_[priority_of(delivery.lane)].push(std::move(delivery));
}

void DeliveryQueue::go_all(std::vector<Pending> deliveries) {
  for (Pending& delivery : deliveries) go(std::move(delivery));
}

// It leaves; `window` is null for what had come back and lies in none.
void DeliveryQueue::uncount(const Pending& delivery, Window* window) {
  const std::size_t bytes = delivery.bytes();
  bytes_ -= bytes;
  --size_;
  if (!window || delivery.origin == protocol::Origin::kLater) return;
  window->bytes -= bytes;
  settle_share(*window);
  --window->deliveries;
  if (ahead_.empty() || !ahead_.contains(delivery.id)) return;
  --window->ahead_here;
  window->ahead_bytes -= bytes;
  const auto waiting = window->ahead_waiting.find(delivery.flow);
  if (--waiting->second == 0) window->ahead_waiting.erase(waiting);
}

void DeliveryQueue::lend_from(Window& window, const Pending& delivery) {
  uncount(delivery, &window);
  if (delivery.origin == protocol::Origin::kLater) return;
  window.lent = std::min(window.lent + 1, limits_.deliveries_max);
}

bool DeliveryQueue::offer(protocol::Lane lane, protocol::EntryId entry,
                          std::vector<Pending>& deliveries) {
  Window& window = lanes_[lane];
  if (entry <= window.read_to) return false;
  note_offered(window, deliveries.size());
  if (window.unread || !has_room(window)) {
    window.unread = true;
    take_ahead(lane, window, deliveries);
    return false;
  }
  for (Pending& delivery : deliveries) add(window, std::move(delivery));
  window.read_to = entry;
  return true;
}

// Of its tenant or key, as far as is known, or for certain.
bool DeliveryQueue::has_nothing_unread(const Window& window, const Pending& delivery) const {
  return window.flows_unread.size() < limits_.flows_unread_max &&
         !window.flows_unread.contains(delivery.flow) && !(delivery.ordered && window.more_unread);
}

bool DeliveryQueue::may_go_ahead(const Window& window, const Pending& delivery) const {
  if (delivery.flow == 0 || window.ahead >= limits_.ahead_max) return false;
  if (window.ahead_bytes >= limits_.bytes_max || !has_nothing_unread(window, delivery))
    return false;
  const auto waiting = window.ahead_waiting.find(delivery.flow);
  return waiting == window.ahead_waiting.end() || waiting->second < limits_.ahead_of_one_max;
}

void DeliveryQueue::note_unread(Window& window, const Pending& delivery) const {
  if (delivery.flow == 0) return;
  if (window.flows_unread.size() < limits_.flows_unread_max) {
    window.flows_unread.insert(delivery.flow);
  }
}

void DeliveryQueue::take_ahead(protocol::Lane lane, Window& window,
                               std::vector<Pending>& deliveries) {
  for (Pending& delivery : deliveries) {
    if (!may_go_ahead(window, delivery)) {
      note_unread(window, delivery);
      continue;
    }
    ahead_.emplace(delivery.id, lane);
    ++window.ahead;
    add(window, std::move(delivery));
  }
}

void DeliveryQueue::forget_ahead(Window& window, const protocol::EventId& id) {
  if (ahead_.erase(id) > 0) --window.ahead;
}

void DeliveryQueue::forget_all_ahead(Window& window) const {
  window.ahead = window.ahead_here = window.ahead_bytes = 0;
  window.ahead_waiting.clear();
  window.flows_unread.clear();
}

void DeliveryQueue::end(const protocol::EventId& id) {
  if (ahead_.empty()) return;
  const auto at = ahead_.find(id);
  if (at == ahead_.end()) return;
  Window& window = lanes_[at->second];
  if (window.paging) {
    window.ahead_ended.push_back(id);
  } else {
    forget_ahead(window, id);
  }
}

void DeliveryQueue::push(Pending&& delivery) {
  Window& window = lanes_[delivery.lane];
  add(window, std::move(delivery));
}

void DeliveryQueue::put_back(Pending delivery) {
  bytes_ += delivery.bytes();
  ++size_;
  if (!delivery.ordered || keys_.is_holder(delivery.id)) {
    returned_.push_back(std::move(delivery));
    return;
  }
  // Another one has its key by now. From here on it counts as read from its lane.
  count_in(lanes_[delivery.lane], delivery);
  if (auto going = keys_.put_back(std::move(delivery))) go(*std::move(going));
}

bool DeliveryQueue::will_be_read(const Pending& delivery) const {
  if (delivery.origin != protocol::Origin::kJournal) return false;
  const auto lane = lanes_.find(delivery.lane);
  return lane != lanes_.end() && lane->second.unread && delivery.id.entry > lane->second.read_to &&
         !ahead_.contains(delivery.id);
}

// Whether everything of its lane that was accepted before it fell due has been read.
bool DeliveryQueue::is_read_up_to_due(const Pending& row) const {
  const auto lane = lanes_.find(row.lane);
  return lane == lanes_.end() || !lane->second.unread ||
         static_cast<std::int64_t>(lane->second.read_to.ms) > row.due_ms ||
         has_nothing_unread(lane->second, row);
}

void DeliveryQueue::mark_unread(protocol::Lane lane) {
  lanes_[lane].unread = lanes_[lane].more_unread = true;
}

std::vector<Pending> DeliveryQueue::forget_journal() {
  std::vector<Pending> lent;
  const auto forget = [&](const Pending& delivery, bool in_window) {
    if (delivery.origin != protocol::Origin::kJournal) return false;
    if (delivery.ordered) keys_.drop(delivery.id);
    uncount(delivery, in_window ? &lanes_[delivery.lane] : nullptr);
    if (delivery.dispatches > 0) {
      lent.push_back(delivery);
      lent.back().packed_event = {};
    }
    return true;
  };
  std::erase_if(returned_, [&](const Pending& one) { return forget(one, false); });
  for (auto& [priority, ready] : ready_) {
    ready.erase_if([&](const Pending& one) { return forget(one, true); });
  }
  for (const Pending& dropped : keys_.forget_journal()) forget(dropped, true);
  for (auto& [lane, window] : lanes_) {
    window.read_to = {};
    window.unread = window.more_unread = true;
    window.paging = false;
    window.ahead_ended.clear();
    forget_all_ahead(window);
  }
  ahead_.clear();
  go_all(keys_.promote());
  return lent;
}

std::optional<store::Page> DeliveryQueue::next_page(const std::string& function, TimePoint now,
                                                    protocol::EntryId purged_to,
                                                    bool may_be_purged) {
  for (auto& [lane, window] : lanes_) {
    const bool is_purged = window.read_to < purged_to;
    if (is_purged && !may_be_purged) continue;
    if (!window.unread || window.paging || window.backoff.rests(now)) continue;
    if (!is_low(window) && !is_purged) continue;
    window.paging = true;
    return store::Page{.function = function,
                       .lane = lane,
                       .after = window.read_to,
                       .entries_max = is_purged ? kPurgedEntriesPerPage : kEntriesPerPage};
  }
  return std::nullopt;
}

void DeliveryQueue::on_paged(protocol::Lane lane, protocol::EntryId last, bool more,
                             std::vector<Pending> deliveries) {
  Window& window = lanes_[lane];
  window.paging = false;
  window.backoff.succeed();
  window.unread = more;
  window.read_to = std::max(window.read_to, last);
  for (const auto& id : std::exchange(window.ahead_ended, {})) forget_ahead(window, id);
  if (!more) {
    std::erase_if(ahead_, [&](const auto& one) { return one.second == lane; });
    forget_all_ahead(window);
    window.more_unread = false;
  }
  for (Pending& delivery : deliveries) add(window, std::move(delivery));
  if (keys_.rows_wait()) go_all(keys_.promote());
}

void DeliveryQueue::on_page_failed(protocol::Lane lane, TimePoint now) {
  Window& window = lanes_[lane];
  window.paging = false;
  window.backoff.fail(now);
}

bool DeliveryQueue::take(Pending& out) {
  if (!returned_.empty()) {
    out = std::move(returned_.front());
    returned_.pop_front();
    uncount(out, nullptr);
    return true;
  }
  for (auto& [priority, ready] : ready_) {
    if (ready.empty()) continue;
    out = ready.take();
    lend_from(lanes_.find(out.lane)->second, out);
    return true;
  }
  return false;
}

bool DeliveryQueue::has_fresh() const {
  if (!returned_.empty()) return false;
  const auto first =
      std::ranges::find_if(ready_, [](const auto& ready) { return !ready.second.empty(); });
  return first != ready_.end() && first->second.has_fresh();
}

bool DeliveryQueue::take_fresh(Pending& out) {
  if (!has_fresh()) return false;
  const auto first =
      std::ranges::find_if(ready_, [](const auto& ready) { return !ready.second.empty(); });
  out = first->second.take_fresh();
  lend_from(lanes_.find(out.lane)->second, out);
  return true;
}

std::optional<Pending> DeliveryQueue::take_by_id(const protocol::EventId& id) {
  if (const auto at = find_id(returned_, id); at != returned_.end()) {
    Pending delivery = std::move(*at);
    returned_.erase(at);
    uncount(delivery, nullptr);
    return delivery;
  }
  auto found = keys_.take_by_id(id);
  for (auto at = ready_.begin(); !found && at != ready_.end(); ++at) {
    found = at->second.take_by_id(id);
  }
  if (found) uncount(*found, &lanes_.find(found->lane)->second);
  return found;
}

const Pending* DeliveryQueue::find(const protocol::EventId& id) const {
  if (const auto at = find_id(returned_, id); at != returned_.end()) return &*at;
  if (const Pending* waiting = keys_.find(id)) return waiting;
  for (const auto& [priority, ready] : ready_) {
    if (const Pending* one = ready.find(id)) return one;
  }
  return nullptr;
}

void DeliveryQueue::open_keys() {
  if (!keys_.is_open()) go_all(keys_.open());
}

bool DeliveryQueue::release_key(const protocol::EventId& id) {
  if (keys_.empty()) return false;
  auto next = keys_.release(id);
  if (!next) return false;
  go(*std::move(next));
  return true;
}

bool DeliveryQueue::has_unread() const {
  return std::any_of(lanes_.begin(), lanes_.end(),
                     [](const auto& lane) { return lane.second.unread; });
}

bool DeliveryQueue::is_paging() const {
  return std::ranges::any_of(lanes_, [](const auto& lane) { return lane.second.paging; });
}

bool DeliveryQueue::has_unread_up_to(protocol::EntryId entry) const {
  return std::ranges::any_of(
      lanes_, [&](const auto& lane) { return lane.second.unread && lane.second.read_to < entry; });
}

std::int64_t DeliveryQueue::oldest_ms() const {
  std::int64_t oldest = std::numeric_limits<std::int64_t>::max();
  const auto note = [&](std::int64_t accepted_ms) {
    if (accepted_ms != 0) oldest = std::min(oldest, accepted_ms);
  };
  for (const Pending& delivery : returned_) note(delivery.accepted_ms);
  for (const auto& [priority, ready] : ready_) note(ready.oldest_ms());
  note(keys_.oldest_ms());
  return oldest == std::numeric_limits<std::int64_t>::max() ? 0 : oldest;
}

}  // namespace fanfare::broker
