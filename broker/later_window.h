// The rows of one function's `later` that are due and in the broker's hands, and the reading of
// more.
//
// Rows are read in the order in which they are due and stay in Redis until they have ended, so all
// that is kept here is how far they have been read and which of those have not ended. What is held
// is bounded in rows and bytes: a million rows that are due at one instant cost the broker no more
// than its window.
//
// Once a page was full the next ones are asked for several at a time, because the answer to one may
// wait for the disk: the first behind what has been read, each other one behind so many rows more.
// Rows that came or went meanwhile shift those pages, so each says which row stands before it. A
// page that does not go on where the one before it ended is not taken, nor are those behind it, and
// is asked for again.
//
// No I/O, no clock; not thread-safe: lives with the broker's core.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "protocol/ids.h"
#include "store/calls.h"

namespace fanfare::broker {

// Per function. A page may come when one row less is held, and its last row when one byte less is.
struct LaterLimits {
  std::size_t rows_max = 8192;        // waiting, moving or lent
  std::size_t bytes_max = 32u << 20;  // more than the largest row and an eighth of this
  std::uint32_t page_rows = 256;
  std::uint32_t pages_at_once = 8;
  bool check_pages = true;  // off only in tests that show what it is good for
};

class LaterWindow {
 public:
  explicit LaterWindow(LaterLimits limits) : limits_(limits) {}

  // ---- reading ----
  // There is a row with this due time, perhaps unread; also when a page under way does not know it.
  void note_placed(std::int64_t due_ms);
  // Of the earliest row that has not been read, as far as is known.
  std::optional<std::int64_t> next_due_ms() const { return next_due_ms_; }
  bool reading() const { return under_way_ > 0; }
  // There is room for a page, and a row to be read when its time has come.
  bool may_read() const;
  // The next page to ask for, if one may be.
  std::optional<store::Due> next_page(const std::string& function, std::int64_t now_ms);

  // A page's answer, in the order in which they were asked for: begin_page(), take_row() for each
  // row if that says yes, end_page() in any case.
  bool begin_page(const store::Due& page, const store::DueRows* rows);
  // False if it is here already, or has ended since the page was read.
  bool take_row(const store::DueRows::Row& row);
  void end_page();

  // Of rows that cannot go (their ordering key is another one's) only so many are held, and so many
  // bytes, or those that can might find no room: the row of the one that has the key, for instance.
  bool has_room_for_blocked() const {
    return held_.size() < limits_.rows_max / 8 && bytes_ < limits_.bytes_max / 8;
  }
  // A row that was read is left in `later` for want of such room: read again once there is some.
  // Until then later rows of its ordering key are not to be taken either, but for who has the key.
  void skip_row(std::int64_t due_ms, std::uint64_t key);
  bool has_skipped(std::uint64_t key) const { return skipped_keys_.contains(key); }

  // Reads from the beginning; answers to earlier pages must not be given. What is held stays.
  void begin_anew();

  // ---- what is held ----
  void hold(const protocol::EventId& id, std::size_t bytes);
  bool holds(const protocol::EventId& id) const { return held_.contains(id); }
  std::size_t size() const { return held_.size(); }
  // It has got another due time, or ...
  void release(const protocol::EventId& id);
  // ... it has ended: a page under way may still have it.
  void end(const protocol::EventId& id);
  bool has_just_ended(const protocol::EventId& id) const { return ended_.contains(id); }
  // ... it has ended by this attempt and was never held: likewise, if the row is older than that.
  void end_unread(const protocol::EventId& id, protocol::AttemptToken by);
  // ... nobody knows whether it has: if it is held it is dropped, and read once more.
  void read_again(const protocol::EventId& id, std::int64_t due_ms);

 private:
  void note_due(std::int64_t due_ms);
  void read_skipped_rows();
  void forget_ended();
  bool goes_on(const store::Due& page, const store::DueRows& rows) const;

  LaterLimits limits_;
  std::unordered_map<protocol::EventId, std::size_t> held_;  // with their bytes
  std::size_t bytes_ = 0;

  std::optional<std::int64_t> next_due_ms_;
  // Rows behind these have not been read, but for those that are held.
  std::int64_t cursor_ms_ = 0;
  std::optional<protocol::EventId> cursor_id_;
  std::uint32_t under_way_ = 0, at_once_ = 1;  // pages
  bool broken_ = false;  // what is under way does not go on where reading has got to
  std::optional<std::int64_t> skipped_due_ms_;      // of the first row that was read and left there
  std::unordered_set<std::uint64_t> skipped_keys_;  // of all of these

  std::optional<std::int64_t> placed_due_ms_;  // the earliest that was placed while reading
  // Pages are numbered, so that what ended is forgotten once those asked for before have come.
  std::uint64_t asked_ = 0, answered_ = 0;
  struct Ended {
    std::uint64_t last_page;  // that was asked for then
    protocol::AttemptToken by;
  };
  std::unordered_map<protocol::EventId, Ended> ended_;  // while reading
  std::deque<protocol::EventId> ended_in_order_;
};

}  // namespace fanfare::broker
