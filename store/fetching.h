// Events that lie beside their entry, read without passing through a function of the library: the
// other way of staging.h, and for the same reason. A page that is asked for `apart` names such
// entries without their events. So whoever reads it asks twice: the first answer tells what to
// fetch, by an MGET on the same connection that goes right before the page is asked for again, and
// that second answer is the one that counts. What has ended in between is not in it any more; what
// was appended in between is in it whole.
#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "base/redis_reply.h"
#include "store/arguments.h"
#include "store/calls.h"

namespace fanfare::store {

class Fetching {
 public:
  // What the first ask is `apart` to: whatever there is.
  static constexpr EntryId kAll{std::numeric_limits<std::uint64_t>::max(),
                                std::numeric_limits<std::uint64_t>::max()};

  // What the first answer to `page` names. True: there is something to fetch, so that it does not
  // count; false: it is whole.
  bool note(const Page& page, const RedisReply& answer);
  // What the second ask is `apart` to.
  EntryId last() const { return last_; }
  // The command that fetches it. Views into this.
  void encode(Arguments& out) const;
  // Its answer.
  void take(const RedisReply& values);

  // The events of an entry, by its id as Redis writes it: empty if they were not fetched.
  std::string_view events_of(std::string_view entry) const;

 private:
  struct Entry {
    std::string id, key, events;
  };
  std::vector<Entry> entries_;  // in the order of the lane
  EntryId last_;
};

}  // namespace fanfare::store
