// A delivery as the worker holds it, and what it shares with its neighbours.
//
// Deliveries are slices of the frame that brought them: the event's bytes are never copied on their
// way to the instance. Pools keep all of these; their addresses stay while they are held.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/shared_bytes.h"
#include "base/time.h"
#include "protocol/ids.h"
#include "protocol/messages.h"
#include "protocol/record.h"
#include "store/calls.h"
#include "store/encode.h"
#include "worker/asked.h"

namespace fanfare::worker {

struct Function;
struct Held;

// A DELIVER frame, kept until its last delivery has been reported.
struct Frame {
  std::string bytes;
  std::uint32_t users = 0;
};

// A delivery that succeeded and is not committed yet.
struct Success {
  Held* held = nullptr;
  SharedBytes record;  // packed ResultRecord; empty if the function stores none
  store::Effects effects;
  // If it writes rows, which may be refused: only then is it known how the attempt ended.
  std::unique_ptr<protocol::AttemptRow> row_of_writer;

  std::size_t bytes() const {
    return record.size() + (effects.empty() ? 0 : store::bytes_of(effects));
  }
};

bool writes_rows(std::span<const Asked> asked);
bool publishes(const store::Effects& effects);
std::size_t count_writes(const store::Effects& effects);  // in Redis

// One function's deliveries share a journal entry if all of this is equal.
struct EntryKey {
  protocol::EntryId id;
  protocol::Lane lane;
  protocol::Origin origin = protocol::Origin::kJournal;
  friend bool operator==(const EntryKey&, const EntryKey&) = default;
};
struct EntryKeyHash {
  std::size_t operator()(const EntryKey& key) const {
    const std::size_t id = std::hash<protocol::EventId>{}({key.id, 0});
    return id ^ (std::size_t{key.lane.number} << 8 | static_cast<std::size_t>(key.origin));
  }
};

// The deliveries of one journal entry for one function: they are best committed together.
struct Entry {
  EntryKey key;
  std::uint16_t size = 1;        // deliveries in the journal's entry
  std::uint32_t unfinished = 0;  // held here, waiting or running
  std::vector<Success> done;     // not committed yet
  TimePoint done_since;          // of the oldest in `done`
  Function* function = nullptr;
  // Ended without success, and not reported while it is not known whether Redis has it.
  std::vector<std::pair<Held*, protocol::Done::Row>> withheld;
  // Whether Redis has it, as far as this worker has heard; see core_early.cc.
  enum class Journal : std::uint8_t { kThere, kAwaited, kNever };
  Journal journal = Journal::kThere;

  bool shared() const { return size > 1; }
};

struct Held {
  protocol::EventId id;
  protocol::AttemptToken token;
  protocol::Lane lane;
  std::uint16_t entry_size = 1;
  std::uint8_t slot = 0;
  protocol::Origin origin = protocol::Origin::kJournal;
  std::uint8_t returns = 0;  // instances that died with it before they began it
  bool cancelled = false;    // an operator has ended it: it is dropped as soon as that can be
  bool nested = false;       // an invocation that an instance somewhere waits for, in a slot
  // Not to be handled in one call with others: an invocation, or what may have ended its process.
  bool alone = false;
  std::uint32_t attempt = 1;
  std::uint64_t local = 0;  // no delivery of the broker's: the number of the invocation
  std::uint64_t turn = 0;   // in which it is handed to an instance
  std::int64_t accepted_ms = 0;
  std::string_view packed_event, packed_ledger;
  TimePoint arrived;
  Function* function = nullptr;  // nullptr: this place in the pool is free
  Frame* frame = nullptr;
  Entry* entry = nullptr;
};

// Objects that come and go in large numbers and must not move.
template <typename T>
class Pool {
 public:
  T& take() {
    if (free_.empty()) return all_.emplace_back();
    T& object = *free_.back();
    free_.pop_back();
    return object;
  }
  // The object keeps its contents, so that strings and vectors in it keep their memory.
  void give_back(T& object) { free_.push_back(&object); }
  const std::deque<T>& all() const { return all_; }
  std::size_t in_use() const { return all_.size() - free_.size(); }

 private:
  std::deque<T> all_;
  std::vector<T*> free_;
};

}  // namespace fanfare::worker
