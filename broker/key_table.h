// Ordering keys of one function: which delivery has each of them, and which wait behind it.
//
// A key is held by one delivery at a time: from the moment it is next to be lent, while it is lent,
// moving or waiting for its retry, until it has ended for good. Only then the next one of the key,
// in the order in which they came here, may go. So no failure, loss or pause lets a later event of
// a key overtake an earlier one.
//
// A row of `later` that is due has its place behind what was accepted until then, whether that has
// been read from the journal or not: `its_turn` says when all of it has been read, and until then
// the row waits. One that keeps its key since it failed was first already.
//
// Two may hold one key only if both are known to run: what workers name after a restart counts,
// whatever was meant.
//
// What waits here is bounded by the windows of the lanes it came from (DeliveryQueue): a lane whose
// window is full of waiting ones is not read on until some of them have gone. What was taken ahead
// of the reading has a bound of its own.
//
// No I/O, no clock; not thread-safe: lives with the broker's core.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/pending.h"

namespace fanfare::broker {

class KeyTable {
 public:
  using ItsTurn = std::function<bool(const Pending& row_of_later)>;
  explicit KeyTable(ItsTurn its_turn = {}) : its_turn_(std::move(its_turn)) {}

  bool empty() const { return holders_.empty() && keys_.empty(); }
  std::size_t waiting() const { return waiting_; }

  // Until it is opened nothing goes: who holds which key is not known yet.
  bool is_open() const { return open_; }
  // Returns those that may go now, in the order of their ids.
  std::vector<Pending> open();

  // A delivery with an ordering key has been read. Returned if it may go: it has the key.
  // Otherwise it waits here.
  std::optional<Pending> add(Pending delivery);
  // Whether add() would not return it; a holder of the key does not wait long.
  bool would_wait(const Pending& delivery) const;
  // One that was taken out comes back to its old place; returned as above.
  std::optional<Pending> put_back(Pending delivery);

  // This delivery has the key, whoever else may have it.
  void hold(std::uint64_t key, const protocol::EventId& id);
  bool is_holder(const protocol::EventId& id) const { return holders_.contains(id); }
  // Who has this key besides `id`, or waits for it and came before that.
  std::vector<protocol::EventId> rivals(std::uint64_t key, const protocol::EventId& id) const;
  // It has ended, or gives its key up. Returns the next of its key, if that may go now.
  std::optional<Pending> release(const protocol::EventId& id);

  // A holder waits in `later` for its retry, due then, and is not in the broker's hands.
  void park(const protocol::EventId& id, std::int64_t due_ms);
  void unpark(const protocol::EventId& id);
  // Parked ones for which `gone(id, due_ms)` says that `later` has them no more: they ended without
  // this broker's hearing of it.
  template <typename Gone>
  std::vector<protocol::EventId> parked_if(Gone gone) const {
    std::vector<protocol::EventId> ids;
    for (const auto& [id, due_ms] : parked_) {
      if (gone(id, due_ms)) ids.push_back(id);
    }
    std::ranges::sort(ids);
    return ids;
  }

  std::vector<protocol::EventId> parked() const {
    return parked_if([](const protocol::EventId&, std::int64_t) { return true; });
  }

  std::optional<Pending> take_by_id(const protocol::EventId& id);
  const Pending* find(const protocol::EventId& id) const;  // among those that wait
  template <typename Wanted>
  bool any_of(Wanted wanted) const {  // of those that wait
    return std::ranges::any_of(
        keys_, [&](const auto& key) { return std::ranges::any_of(key.second.waiting, wanted); });
  }
  std::int64_t oldest_ms() const;

  // Drops those that wait and for which `unwanted`, which may take them, says so. Who has a key
  // keeps it.
  template <typename Unwanted>
  void erase_if(Unwanted unwanted) {
    for (auto at = keys_.begin(); at != keys_.end();) {
      const auto key = at++;
      auto& waiting = key->second.waiting;
      for (auto one = waiting.begin(); one != waiting.end();) {
        const bool is_row = one->origin == protocol::Origin::kLater;
        if (!unwanted(*one)) {
          ++one;
          continue;
        }
        one = waiting.erase(one);
        --waiting_;
        if (is_row) --rows_waiting_;
      }
      if (key->second.holders == 0 && waiting.empty()) keys_.erase(key);
    }
  }

  // Drops those that wait and came from the journal, which are returned; what else waits stays.
  std::vector<Pending> forget_journal();
  // Returns those that may go because of releases that nobody was told of, or because the journal
  // has been read further.
  std::vector<Pending> promote();
  bool rows_wait() const { return rows_waiting_ > 0; }  // of `later`
  // As release(), but nothing goes yet: promote() follows.
  void drop(const protocol::EventId& id);

 private:
  struct Key {
    std::uint32_t holders = 0;
    std::list<Pending> waiting;
  };
  using Keys = std::unordered_map<std::uint64_t, Key>;
  std::optional<Pending> next_of(Keys::iterator key);
  bool first_may_go(const Key& key) const;
  bool is_its_turn(const Pending& delivery) const;
  void insert(Key& key, std::list<Pending>::iterator at, Pending&& delivery);
  Pending take_out(Key& key, std::list<Pending>::iterator at);

  ItsTurn its_turn_;

  bool open_ = false;
  Keys keys_;
  std::unordered_map<protocol::EventId, std::uint64_t> holders_;
  std::unordered_map<protocol::EventId, std::int64_t> parked_;
  std::size_t waiting_ = 0, rows_waiting_ = 0;
};

}  // namespace fanfare::broker
