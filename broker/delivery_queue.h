// One function's deliveries that wait for a worker, as far as the broker holds them.
//
// The journal holds every accepted delivery; this is only the window of each lane that has been
// read. A lane's window is bounded in deliveries and bytes. What does not fit is left in the
// journal and paged in when the window has run half empty, so a queue of millions costs the broker
// no more than its windows. Within a lane deliveries leave in journal order; lanes of a higher
// priority go first, and lanes of one priority take turns.
//
// No I/O, no clock; not thread-safe: lives with the broker's core.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/shared_bytes.h"
#include "protocol/ids.h"
#include "protocol/messages.h"
#include "store/calls.h"

namespace fanfare::broker {

// A delivery the broker holds: everything needed to lend it to a worker, and again after a loss.
struct Pending {
  protocol::EventId id;
  std::uint8_t slot = 0;
  std::uint16_t entry_size = 1;
  protocol::Lane lane;
  protocol::Origin origin = protocol::Origin::kJournal;
  std::uint16_t worker_losses = 0;  // attempts that ended because their worker vanished
  std::uint32_t dispatches = 0;     // under this broker; numbers the attempt tokens
  std::uint32_t attempts = 0;       // that counted against the retry budget
  std::int64_t accepted_ms = 0;     // Unix ms
  std::int64_t due_ms = 0;          // of kLater: its score, to know the row again
  std::int64_t expires_ms = 0;      // Unix ms, 0 = never
  protocol::AttemptToken moved_by;  // of kLater: who put it there; up to it all are counted
  std::string packed_ledger;
  SharedBytes packed_event;

  std::size_t bytes() const { return sizeof(Pending) + packed_ledger.size() + packed_event.size(); }
};

struct WindowLimits {
  std::size_t deliveries_max = 8192;  // per lane
  std::size_t bytes_max = 4u << 20;   // per lane
};

class DeliveryQueue {
 public:
  explicit DeliveryQueue(WindowLimits limits) : limits_(limits) {}

  // Takes deliveries of one journal entry, in ascending order, right after they were appended.
  // False if it takes none: the window has no room or older entries of the lane are still unread,
  // so they stay in the journal; or a page has brought them already, which happens when an append's
  // first answer was lost.
  bool offer(protocol::Lane lane, protocol::EntryId entry, std::vector<Pending>& deliveries);

  // Takes a delivery that no journal can give back (class memory, or a due row of `later`).
  void push(Pending delivery);

  // Takes back a delivery that was lent and came back; it goes before everything else.
  void put_back(Pending delivery);

  // Marks a lane as having entries in the journal that were not read: after a restart.
  void mark_unread(protocol::Lane lane);

  // Drops what the journal holds and marks every lane as unread from its beginning. What came from
  // elsewhere (class memory, `later`) stays.
  void forget_journal();

  // The next page to read, for a lane that ran low; at most one is asked for per lane at a time.
  std::optional<store::Page> next_page(const std::string& function);
  void on_paged(protocol::Lane lane, protocol::EntryId last, bool more,
                std::vector<Pending> deliveries);
  void on_page_failed(protocol::Lane lane);

  // The next delivery to lend; nothing when the windows are empty.
  std::optional<Pending> take();

  // Removes and returns one delivery, wherever it waits here.
  std::optional<Pending> take_by_id(const protocol::EventId& id);
  // The same, left where it is; good until the queue changes.
  const Pending* find(const protocol::EventId& id) const;
  bool holds(const protocol::EventId& id) const { return find(id) != nullptr; }

  std::size_t size() const { return size_; }  // deliveries here
  std::size_t bytes() const { return bytes_; }
  bool has_unread() const;         // the journal has more
  std::int64_t oldest_ms() const;  // of the deliveries here, 0 if none

 private:
  struct Window {
    std::deque<Pending> ready;
    std::size_t bytes = 0;
    protocol::EntryId read_to;
    bool unread = false;
    bool paging = false;
  };
  // Higher priorities first; lanes of a priority in the order of their number.
  struct ByPriority {
    bool operator()(protocol::Lane a, protocol::Lane b) const {
      return a.number / 17 != b.number / 17 ? a.number / 17 > b.number / 17 : a.number < b.number;
    }
  };
  bool has_room(const Window& window) const;
  void add(Window& window, Pending&& delivery);
  Pending remove_front(Window& window);
  Pending account_for(Pending delivery);

  WindowLimits limits_;
  std::map<protocol::Lane, Window, ByPriority> lanes_;
  std::deque<Pending> returned_;
  std::optional<protocol::Lane> last_served_;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace fanfare::broker
