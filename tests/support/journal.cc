#include "tests/support/journal.h"

#include <stdexcept>

#include "store/packed.h"
#include "tests/support/ask.h"

namespace fanfare::test {

std::vector<JournalEntry> read_journal(RedisSync& redis, const std::string& journal_key) {
  std::vector<JournalEntry> entries;
  const auto all = ask(redis, {"XRANGE", journal_key, "-", "+"});
  for (std::size_t e = 0; e < all->size(); ++e) {
    const std::string id{(*all)[e][0].text()};
    const auto parsed = protocol::parse_entry_id(id);
    if (!parsed) throw std::runtime_error("no entry: " + id);
    JournalEntry& entry = entries.emplace_back(JournalEntry{*parsed, {}});
    const RedisReply fields = (*all)[e][1];
    for (std::size_t f = 0; f + 1 < fields.size(); f += 2) {
      std::string value{fields[f + 1].text()};
      if (value.empty()) {
        const auto beside = ask(redis, {"GET", journal_key + ":" + id});
        // It may have ended since it was listed.
        if (beside->is_nil() && ask(redis, {"XRANGE", journal_key, id, id})->size() == 0) continue;
        value = beside->text();
      }
      const auto read = store::for_each_event(fields[f].text(), value,
                                              [&](std::uint8_t index, std::string_view event) {
                                                entry.events.emplace_back(index, event);
                                              });
      if (!read) throw std::runtime_error(journal_key + " " + id + ": " + read.error().message);
    }
    if (entry.events.empty()) entries.pop_back();
  }
  return entries;
}

}  // namespace fanfare::test
