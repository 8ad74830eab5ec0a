// One function's deliveries that wait for a worker, as far as the broker holds them.
//
// The journal holds every accepted delivery; this is only the window of each lane that has been
// read. A lane's window is bounded in deliveries and bytes. What does not fit is left in the
// journal and paged in when the window has run half empty, so a queue of millions costs the broker
// no more than its windows. To read a delivery back costs Redis and the broker more than to take it
// when it comes: so a window whose deliveries are being lent may hold some times as many, as long
// as all windows of the broker together hold little. A moment's excess over what the workers take
// does not make everything after it dearer then.
//
// Who goes next: what came back, then higher priorities before lower ones, always; within a
// priority tenants take turns (fair_queue.h). Deliveries with an ordering key go one at a time per
// key (key_table.h); those that wait for their key fill the window of their lane, which is read
// no further when it is full of them. Other lanes go on.
//
// Tenants share lanes. So that one whose flood fills a window does not hold up the others of its
// lane, an event of a tenant that has nothing unread there is taken although the window is full, or
// older entries are unread: ahead of the lane's reading, which passes it over when it gets there. A
// tenant has only so many taken ahead that wait; one that has more is read in its turn, like the
// flood. Likewise those of an ordering key, so that a key that is held up, and fills a window with
// what waits for it, does not hold up the others of its lane. But order is a promise: nothing of a
// key is taken ahead unless it is certain that nothing of it is unread, as it is not after a
// restart until the lane has been read to its end.
//
// No I/O, no clock; not thread-safe: lives with the broker's core.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "broker/backoff.h"
#include "broker/fair_queue.h"
#include "broker/key_table.h"
#include "broker/pending.h"
#include "protocol/ids.h"
#include "store/calls.h"

namespace fanfare::broker {

struct WindowLimits {
  std::size_t deliveries_max = 8192;         // per lane
  std::size_t bytes_max = 4u << 20;          // per lane
  std::size_t running_times = 4;             // as many times both while it runs, as long as
  std::size_t shared_bytes_max = 16u << 20;  // all windows have less beyond their bytes_max
  std::size_t ahead_max = 2048;              // per lane, taken ahead and not ended; of bytes_max
  std::size_t ahead_of_one_max = 256;        // of them, waiting, of one tenant or ordering key
  std::size_t flows_unread_max = 1024;       // per lane; were there more, nothing is taken ahead
};

// What the windows of all queues of a broker hold beyond their bytes_max.
using WindowShare = std::shared_ptr<std::size_t>;

class DeliveryQueue {
 public:
  explicit DeliveryQueue(WindowLimits limits, WindowShare shared = std::make_shared<std::size_t>(0))
      : limits_(limits),
        shared_(std::move(shared)),
        keys_([this](const Pending& row) { return is_read_up_to_due(row); }) {}
  ~DeliveryQueue();
  DeliveryQueue(const DeliveryQueue&) = delete;
  DeliveryQueue& operator=(const DeliveryQueue&) = delete;

  // Takes deliveries of one journal entry, in ascending order, right after they were appended.
  // False if it does not take them all, which then are to be read: the window has no room or older
  // entries of the lane are still unread, so only what goes ahead is taken; or a page has brought
  // them already, which happens when an append's first answer was lost.
  bool offer(protocol::Lane lane, protocol::EntryId entry, std::vector<Pending>& deliveries);

  // Whether a page that has it brings nothing new: it was taken ahead.
  bool was_taken_ahead(const protocol::EventId& id) const { return ahead_.contains(id); }
  // It has ended, so it is none of those that wait here: no page that is asked for from now on has
  // it.
  void end(const protocol::EventId& id);

  // Takes a delivery that no journal can give back (class memory, or a due row of `later`).
  void push(Pending&& delivery);

  // Takes back a delivery that was lent and came back; it goes before everything else.
  void put_back(Pending delivery);

  // Whether the journal will bring it (again): it lies ahead of where its lane has been read to.
  bool will_be_read(const Pending& delivery) const;

  // Marks a lane as having entries in the journal that were not read: after a restart.
  void mark_unread(protocol::Lane lane);

  // Drops what the journal holds and marks every lane as unread from its beginning. What came from
  // elsewhere (class memory, `later`) stays. Returned: what this broker has lent before, without
  // its event, for what is known of its attempts.
  std::vector<Pending> forget_journal();

  // The next page to read, for a lane that ran low; at most one is asked for per lane at a time. A
  // lane whose page failed is left alone for a while. What lies before `purged_to` is read, a small
  // page at a time and whether its lane has run low or not, only when it `may_be_purged` now.
  std::optional<store::Page> next_page(const std::string& function, TimePoint now,
                                       protocol::EntryId purged_to = {},
                                       bool may_be_purged = false);
  void on_paged(protocol::Lane lane, protocol::EntryId last, bool more,
                std::vector<Pending> deliveries);
  void on_page_failed(protocol::Lane lane, TimePoint now);

  // The next delivery to lend; false when none may go.
  bool take(Pending& out);
  // The next one if it is of a tenant that had nothing here, while others have; else false.
  bool has_fresh() const;
  bool take_fresh(Pending& out);
  // Some delivery had a tenant.
  bool knows_tenants() const { return knows_tenants_; }

  // Removes and returns those that are wanted, at most `most` of them, in one pass.
  template <typename Wanted>
  std::vector<Pending> take_if(Wanted wanted, std::size_t most) {
    std::vector<Pending> taken;
    if (most == 0) return taken;
    const auto take = [&](Pending& delivery) {
      if (taken.size() == most || !wanted(std::as_const(delivery))) return false;
      taken.push_back(std::move(delivery));
      return true;
    };
    std::erase_if(returned_, take);
    const std::size_t returned = taken.size();
    keys_.erase_if(take);
    for (auto& [priority, ready] : ready_) ready.erase_if(take);
    for (std::size_t i = 0; i < taken.size(); ++i) {
      uncount(taken[i], i < returned ? nullptr : &lanes_.find(taken[i].lane)->second);
    }
    return taken;
  }

  template <typename Wanted>
  bool holds_any(Wanted wanted) const {
    return any_of(wanted);
  }

  // Removes and returns one delivery, wherever it waits here. As with take_if, nobody of its key
  // goes for that: whoever takes it out to end it holds the key until it has ended.
  std::optional<Pending> take_by_id(const protocol::EventId& id);
  // The same, left where it is; good until the queue changes.
  const Pending* find(const protocol::EventId& id) const;
  bool holds(const protocol::EventId& id) const { return find(id) != nullptr; }

  // ---- ordering keys ----
  // Until then nothing with a key goes.
  void open_keys();
  bool keys_are_open() const { return keys_.is_open(); }
  // A delivery has ended for good, or gives its key up, if it has one. True if another one goes.
  bool release_key(const protocol::EventId& id);
  KeyTable& keys() { return keys_; }
  const KeyTable& keys() const { return keys_; }

  std::size_t size() const { return size_; }               // deliveries here
  std::size_t blocked() const { return keys_.waiting(); }  // of them, waiting for their key
  std::size_t ready() const { return size_ - blocked(); }  // the rest
  std::size_t bytes() const { return bytes_; }
  bool has_unread() const;  // the journal has more
  // More waits, for a worker alone, than a quarter of deliveries_max, and all of it is here.
  bool fills() const { return ready() > limits_.deliveries_max / 4 && !has_unread(); }
  bool is_paging() const;  // a page has been asked for
  // The journal has more, perhaps up to this entry.
  bool has_unread_up_to(protocol::EntryId entry) const;
  std::int64_t oldest_ms() const;  // of the deliveries here, 0 if none

 private:
  struct Window {
    std::size_t deliveries = 0;
    std::size_t bytes = 0;
    std::size_t shared = 0;  // of them, beyond bytes_max
    // Of late: halved each time that as many were offered as a window holds.
    std::size_t offered = 0, lent = 0;
    protocol::EntryId read_to;
    bool unread = false;
    bool paging = false;
    Backoff backoff = kReadingBackoff;
    // Taken ahead: how many, how many of them are here, the bytes of these, how many of each tenant
    // wait, and which have ended while a page that may have them is under way.
    std::size_t ahead = 0, ahead_here = 0, ahead_bytes = 0;
    std::unordered_map<std::uint64_t, std::size_t> ahead_waiting;
    std::vector<protocol::EventId> ahead_ended;
    // Tenants and ordering keys of what this broker has appended and not read. What lay there when
    // it started is not known: newer ones of such a tenant may overtake it, those of a key may not.
    std::unordered_set<std::uint64_t> flows_unread;
    bool more_unread = false;  // of others, too
  };
  // Higher priorities first; lanes of a priority in the order of their number.
  struct ByPriority {
    bool operator()(protocol::Lane a, protocol::Lane b) const {
      return a.number / 17 != b.number / 17 ? a.number / 17 > b.number / 17 : a.number < b.number;
    }
  };
  // Looks at all that wait here, until `wanted` says yes.
  template <typename Wanted>
  bool any_of(Wanted wanted) const {
    return std::ranges::any_of(returned_, wanted) || keys_.any_of(wanted) ||
           std::ranges::any_of(ready_,
                               [&](const auto& ready) { return ready.second.any_of(wanted); });
  }
  bool has_room(const Window& window) const;
  bool is_low(const Window& window) const;
  bool runs(const Window& window) const;
  void note_offered(Window& window, std::size_t deliveries) const;
  void settle_share(Window& window);
  bool is_read_up_to_due(const Pending& row) const;
  bool has_nothing_unread(const Window& window, const Pending& delivery) const;
  bool may_go_ahead(const Window& window, const Pending& delivery) const;
  void take_ahead(protocol::Lane lane, Window& window, std::vector<Pending>& deliveries);
  void note_unread(Window& window, const Pending& delivery) const;
  void forget_ahead(Window& window, const protocol::EventId& id);
  void forget_all_ahead(Window& window) const;
  void count_in(Window& window, const Pending& delivery);
  void add(Window& window, Pending&& delivery);
  void go(Pending&& delivery);
  void go_all(std::vector<Pending> deliveries);
  void uncount(const Pending& delivery, Window* window);
  void lend_from(Window& window, const Pending& delivery);

  WindowLimits limits_;
  WindowShare shared_;
  std::map<protocol::Lane, Window, ByPriority> lanes_;
  std::map<int, FairQueue, std::greater<>> ready_;  // by priority, the highest first
  KeyTable keys_;
  std::deque<Pending> returned_;
  std::unordered_map<protocol::EventId, protocol::Lane> ahead_;
  bool knows_tenants_ = false;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace fanfare::broker
