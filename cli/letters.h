// Dead letters as the command line reads them: page by page from a function's stream in Redis, so
// that 100,000 of them neither hold Redis up nor fill memory.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "protocol/event.h"
#include "protocol/pattern.h"
#include "protocol/record.h"

namespace fanfare::cli {

struct Letter {
  protocol::EntryId letter;  // its own id in the stream
  protocol::EventId id;
  std::int64_t at_ms = 0;  // when it died, Unix ms
  protocol::ResultRecord record;
  std::optional<protocol::Event> event;  // nothing if it cannot be read
  std::string pattern_json;              // what --where is held against
};

// {"error":{"type","message"},"reason","attempts","died", and what patterns see of the event}
std::string to_pattern_json(const Letter& letter);

// Which letters are meant: those that match the pattern and, where ids are named, have one of them.
struct LetterFilter {
  std::optional<protocol::Pattern> where;
  std::set<protocol::EventId> ids;
  bool takes(const Letter& letter) const;
};
// Rejects what is no pattern, and what is no event id, with what to write instead.
Result<LetterFilter> make_letter_filter(const std::string& where,
                                        const std::vector<std::string>& ids);

class LetterPages {
 public:
  enum class Order { kNewestFirst, kOldestFirst };

  // Reads what is there now: letters that come later are not met. An error if the function has no
  // letters and is not deployed either: the name may be a slip.
  static Result<LetterPages> open(RedisSync& redis, const std::string& function, Order order);

  // The next letters; none at the end.
  Result<std::vector<Letter>> next();

  std::uint64_t unreadable() const { return unreadable_; }  // skipped so far

 private:
  LetterPages(RedisSync& redis, std::string key, Order order)
      : redis_(&redis), key_(std::move(key)), order_(order) {}

  RedisSync* redis_;
  std::string key_;
  Order order_;
  std::string from_, to_;  // bounds of what is left; empty = at the end
  std::uint64_t unreadable_ = 0;
};

}  // namespace fanfare::cli
