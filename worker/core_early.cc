// Deliveries that came before the journal had them: they run at once, what became of them waits.
//
// A commit that comes before its entry would be told that the entry is gone, as if the delivery had
// ended. So it waits for the broker's word, and so do reports of failures. Once the session is over
// that may never come, and the id may even be another event's: an entry that the journal never had
// leaves no trace there. So what runs is then nobody's any more. It is neither committed nor named
// to a broker, and whoever finds the entry in the journal lends it again.
#include <algorithm>

#include "worker/core.h"

namespace fanfare::worker {

bool Core::awaits_journal(const Entry& entry) const {
  return entry.journal == Entry::Journal::kAwaited && options_.protections.wait_for_journal;
}

void Core::on_journaled(const protocol::Journaled& message, Now now) {
  const auto settle = [&](const std::vector<protocol::EntryId>& ids, Entry::Journal as) {
    for (Entry* entry : std::exchange(awaited_, {})) {
      if (std::ranges::find(ids, entry->key.id) == ids.end()) {
        awaited_.push_back(entry);
        continue;
      }
      if (as == Entry::Journal::kNever) {
        disown(*entry, now);
        continue;
      }
      entry->journal = as;
      touch(*entry->function);
      for (auto& [held, row] : std::exchange(entry->withheld, {}))
        report_done(*held, std::move(row));
    }
  };
  settle(message.there, Entry::Journal::kThere);
  settle(message.refused, Entry::Journal::kNever);
}

// What has run of it is dropped now, what runs when it ends; what waits does not begin.
void Core::disown(Entry& entry, Now now) {
  entry.journal = Entry::Journal::kNever;
  // Its key is free for an entry that has come by the same id.
  Function& function = *entry.function;
  if (const auto at = function.entries.find(entry.key);
      at != function.entries.end() && at->second == &entry) {
    function.entries.erase(at);
  }
  touch(function);
  std::erase(function.done_entries, &entry);
  function.uncommitted -= entry.done.size();
  uncommitted_ -= entry.done.size();
  for (const Success& success : entry.done) {
    uncommitted_bytes_ -= success.bytes();
    if (success.row_of_writer) conclude(*success.held, *success.row_of_writer, now);
    release(*success.held);
  }
  entry.done.clear();
  const auto withheld = std::exchange(entry.withheld, {});
  std::vector<Held*> waiting;
  std::erase_if(function.queue, [&](Held* held) {
    if (held->entry == &entry) waiting.push_back(held);
    return held->entry == &entry;
  });
  release_entry(function, entry);  // unless something of it is left: the last one does it then
  for (const auto& [held, row] : withheld) leave(*held);
  for (Held* held : waiting) hand_back(*held);
}

void Core::disown_awaited(Now now) {
  for (Entry* entry : std::exchange(awaited_, {})) disown(*entry, now);
}

}  // namespace fanfare::worker
