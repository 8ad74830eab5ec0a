// The deliveries of a commit, postpone or bury, sorted into the groups in which the function
// library takes them: one group per entry, lane and origin, ascending indexes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "store/calls.h"

namespace fanfare::store {

struct GroupedItem {
  Origin origin = Origin::kJournal;
  Lane lane;
  EntryId entry;
  std::uint16_t entry_size = 1;
  std::uint8_t slot = 0, index = 0;
  AttemptToken token;
  std::uint16_t outer = 0, inner = 0;  // Commit: group and item; else the item is `inner`
  std::uint16_t position = 0;          // among the verdicts of the answer

  bool same_group(const GroupedItem& other) const {
    return entry == other.entry && lane == other.lane && origin == other.origin;
  }
};

// In the order of the wire. Always the same for the same call.
std::vector<GroupedItem> grouped(const Commit& call);
std::vector<GroupedItem> grouped(const Postpone& call);
std::vector<GroupedItem> grouped(const Bury& call);

// The groups among them, each a stretch of them.
std::vector<std::span<const GroupedItem>> groups_among(const std::vector<GroupedItem>& items);

// Rejects what the library would refuse: no items or too many, the same delivery twice, entries of
// unclear size, an origin that Redis knows nothing of.
Result<void> check_groups(const std::vector<GroupedItem>& items);

}  // namespace fanfare::store
