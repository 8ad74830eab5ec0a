#include "cli/queue_reader.h"

#include <algorithm>
#include <limits>

#include "cli/store_call.h"

namespace fanfare::cli {
namespace {

Result<bool> read_lane(RedisSync& redis, const std::string& function, protocol::Lane lane,
                       const Visit& visit) {
  store::Page page{.function = function, .lane = lane, .after = {}, .entries_max = 16};
  while (true) {
    auto paged = ask_store<store::Paged>(redis, page);
    if (!paged) return paged.error();
    for (auto& entry : paged->entries) {
      page.after = entry.entry;
      for (auto& item : entry.open) {
        Queued queued;
        queued.id = {entry.entry, item.index};
        queued.accepted_ms = static_cast<std::int64_t>(entry.entry.ms);
        queued.packed_event = item.packed_event.str();
        if (!visit(queued)) return false;
      }
    }
    if (!paged->more) return true;
  }
}

}  // namespace

Result<bool> read_journal(RedisSync& redis, const std::string& function, const Visit& visit) {
  auto surveyed = ask_store<store::Surveyed>(redis, store::Survey{function});
  if (!surveyed) return surveyed.error();
  std::ranges::stable_sort(surveyed->lanes, [](protocol::Lane a, protocol::Lane b) {
    return a.number / 17 > b.number / 17;
  });
  for (const protocol::Lane lane : surveyed->lanes) {
    const auto on = read_lane(redis, function, lane, visit);
    if (!on || !*on) return on;
  }
  return true;
}

Result<bool> read_later(RedisSync& redis, const std::string& function, const Visit& visit) {
  store::Due due{.function = function,
                 .from_ms = 0,
                 .until_ms = std::numeric_limits<std::int64_t>::max(),
                 .after = std::nullopt,
                 .rows_max = 128};
  while (true) {
    auto rows = ask_store<store::DueRows>(redis, due);
    if (!rows) return rows.error();
    for (auto& row : rows->rows) {
      due.from_ms = row.due_ms;
      due.after = row.id;
      Queued queued;
      queued.id = row.id;
      queued.accepted_ms = row.accepted_ms;
      queued.attempts = row.attempts;
      queued.due_ms = row.due_ms;
      queued.retrying = !row.packed_ledger.empty();
      queued.packed_event = std::move(row.packed_event);
      if (!visit(queued)) return false;
    }
    if (!rows->next_due_ms) return true;
  }
}

}  // namespace fanfare::cli
