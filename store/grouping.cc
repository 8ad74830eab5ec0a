#include "store/grouping.h"

#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

namespace fanfare::store {
namespace {

bool in_order(const GroupedItem& a, const GroupedItem& b) {
  return std::tie(a.origin, a.lane, a.entry, a.index) <
         std::tie(b.origin, b.lane, b.entry, b.index);
}

// The items of a call as they are added, and whether they have come in order so far: they nearly
// always do.
class Sorting {
 public:
  explicit Sorting(std::size_t count) { items_.reserve(count); }

  void add(GroupedItem item) {
    item.position = static_cast<std::uint16_t>(items_.size());
    if (!items_.empty()) {
      const GroupedItem& before = items_.back();
      in_order_ &= before.same_group(item) ? before.index <= item.index : in_order(before, item);
    }
    items_.push_back(item);
  }
  std::vector<GroupedItem> take() {
    if (!in_order_) std::ranges::stable_sort(items_, in_order);
    return std::move(items_);
  }

 private:
  std::vector<GroupedItem> items_;
  bool in_order_ = true;
};

template <typename Item>
std::vector<GroupedItem> grouped_flat(const std::vector<Item>& items) {
  Sorting sorting(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = items[i];
    sorting.add({.origin = item.origin,
                 .lane = item.lane,
                 .entry = item.id.entry,
                 .entry_size = item.entry_size,
                 .slot = item.slot,
                 .index = item.id.index,
                 .token = item.token,
                 .inner = static_cast<std::uint16_t>(i)});
  }
  return sorting.take();
}

}  // namespace

std::vector<GroupedItem> grouped(const Commit& call) {
  std::size_t count = 0;
  for (const auto& group : call.groups) count += group.items.size();
  Sorting sorting(count);
  for (std::size_t g = 0; g < call.groups.size(); ++g) {
    const auto& group = call.groups[g];
    for (std::size_t i = 0; i < group.items.size(); ++i) {
      const auto& item = group.items[i];
      sorting.add({.origin = group.origin,
                   .lane = group.lane,
                   .entry = group.entry,
                   .entry_size = group.entry_size,
                   .slot = item.slot,
                   .index = item.index,
                   .token = item.token,
                   .outer = static_cast<std::uint16_t>(g),
                   .inner = static_cast<std::uint16_t>(i)});
    }
  }
  return sorting.take();
}

std::vector<GroupedItem> grouped(const Postpone& call) {
  return grouped_flat(call.items);
}
std::vector<GroupedItem> grouped(const Bury& call) {
  return grouped_flat(call.items);
}

std::vector<std::span<const GroupedItem>> groups_among(const std::vector<GroupedItem>& items) {
  std::vector<std::span<const GroupedItem>> groups;
  for (std::size_t from = 0, to = 0; from < items.size(); from = to) {
    while (to < items.size() && items[from].same_group(items[to])) ++to;
    groups.emplace_back(items.data() + from, to - from);
  }
  return groups;
}

Result<void> check_groups(const std::vector<GroupedItem>& items) {
  if (items.empty()) return reject("a call without deliveries");
  if (items.size() > protocol::kChunkEventsMax) return reject("more than 256 deliveries in a call");
  for (std::size_t i = 0; i < items.size(); ++i) {
    const GroupedItem& item = items[i];
    const auto bad = [&item](const char* what) {
      return reject("delivery " + to_string(EventId{item.entry, item.index}) + what);
    };
    if (item.origin > Origin::kMemory) return bad(" was invoked: Redis knows nothing of it");
    if (item.entry_size < 1 || item.entry_size > protocol::kChunkEventsMax) {
      return bad(" has an entry of impossible size");
    }
    if (item.token.value == 0) return bad(" has no attempt token");
    if (item.origin == Origin::kJournal && item.slot >= item.entry_size) {
      return bad(" has a slot beyond its entry");
    }
    if (i == 0 || !items[i - 1].same_group(item)) continue;
    const GroupedItem& before = items[i - 1];
    if (before.index == item.index) return bad(" is named twice");
    if (item.origin != Origin::kJournal) continue;
    if (before.entry_size != item.entry_size) return bad(" has an entry of two sizes");
    if (before.slot >= item.slot) return bad(" has a slot that does not fit its index");
  }
  return {};
}

}  // namespace fanfare::store
