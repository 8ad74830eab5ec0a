#include "store/fetching.h"

#include <algorithm>

#include "store/keys.h"

namespace fanfare::store {

bool Fetching::note(const Page& page, const RedisReply& answer) {
  entries_.clear();
  for (std::size_t i = 1; i < answer.size(); ++i) {
    const RedisReply entry = answer[i];
    const auto id = protocol::parse_entry_id(entry[0].text());
    if (!id || entry[2].size() != 1) continue;
    entries_.push_back(
        {std::string{entry[0].text()}, events_key(page.function, page.lane, *id), {}});
    last_ = *id;
  }
  return !entries_.empty();
}

void Fetching::encode(Arguments& out) const {
  out.clear();
  out.add("MGET");
  for (const Entry& entry : entries_) out.add(entry.key);
}

void Fetching::take(const RedisReply& values) {
  for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i].events = values[i].text();
}

std::string_view Fetching::events_of(std::string_view entry) const {
  const auto at = std::ranges::find(entries_, entry, &Entry::id);
  return at == entries_.end() ? std::string_view{} : std::string_view{at->events};
}

}  // namespace fanfare::store
