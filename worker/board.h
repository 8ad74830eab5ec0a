// The memory that a worker shares with one instance: what runs, how far it is, and every result.
//
// A board is a sealed memfd of two sheets. A batch runs on one sheet: the instance writes each
// finished item's result into the sheet's area and then raises `finished`, so results outlive the
// instance: a crash ends only the item that was running. With two sheets the worker may hand over
// the next batch while one runs.
//
// What a batch has not started yet the worker may recall, to have it done elsewhere: both say what
// they do in one word of memory, by compare and swap, so that each item is started here or recalled
// and never both.
//
// The instance runs foreign code and may scribble over all of this. So the worker copies first and
// checks then, every time; nothing it reads here can lead it out of bounds.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "base/time.h"
#include "protocol/record.h"

namespace fanfare::worker {

inline constexpr std::size_t kSheets = 2;
inline constexpr std::size_t kSheetBytes = 128 * 1024;
inline constexpr std::size_t kBatchItemsMax = 256;
// A result whose texts and data are larger travels as a sealed memfd over the channel.
inline constexpr std::size_t kInlineResultMax = 64 * 1024;
inline constexpr std::size_t kProgressNoteMax = 160;

// A part of the instance's log, in bytes from its start.
struct LogRange {
  std::uint64_t from = 0, to = 0;
  bool empty() const { return to <= from; }
  friend bool operator==(const LogRange&, const LogRange&) = default;
};

// How one item ended, as the instance says. Its texts follow it in the area (content type, failure
// type, failure message, data, what it asks for, in this order), unless they are in a memfd.
struct ResultHeader {
  static constexpr std::uint8_t kRetryable = 1, kHasRetryAfter = 2, kInMemfd = 4;

  std::uint32_t item = 0;
  protocol::Outcome outcome =
      protocol::Outcome::kOk;  // kOk, kFunctionError, kOutOfMemory, kInitFailed
  std::uint8_t flags = 0;
  std::uint16_t content_type_size = 0;
  std::uint16_t type_size = 0;
  std::uint16_t message_size = 0;
  std::uint32_t asked_size = 0;  // see asked.h
  std::uint64_t data_size = 0;
  std::int64_t started_ns = 0;  // CLOCK_MONOTONIC
  std::int64_t duration_ns = 0;
  std::int64_t retry_after_ms = 0;
  LogRange log;

  std::size_t payload_size() const {
    return std::size_t{content_type_size} + type_size + message_size + data_size + asked_size;
  }
};

struct ResultTexts {
  std::string_view content_type, type, message, data, asked = {};
};

struct Progress {
  double fraction = 0;  // 0 to 1
  std::string note;
  bool operator==(const Progress&) const = default;
};

class Board {
 public:
  static Result<Board> create();           // the worker: a new memfd
  static Result<Board> attach(int memfd);  // the instance: maps what it was given

  Board(Board&& other) noexcept;
  Board& operator=(Board&& other) noexcept;
  ~Board();

  int memfd() const { return memfd_.get(); }  // only after create()

  // ---- the instance writes ----

  // False: all of it was recalled; go on with the next one.
  bool begin_batch(std::size_t sheet, std::uint64_t batch, std::uint32_t items);
  // False: this item and those behind it were recalled.
  bool begin_item(std::size_t sheet, std::int64_t now_ns);
  // Whether the texts fit beside what the items still to come need at least. If not, put them into
  // a memfd and set kInMemfd.
  bool fits(std::size_t sheet, std::size_t payload_size) const;
  // `header` is copied; with kInMemfd the texts stay where they are.
  void finish_item(std::size_t sheet, const ResultHeader& header, const ResultTexts& texts);
  void set_peak_memory_kb(std::uint32_t kb);
  void set_progress(double fraction, std::string_view note);
  void clear_progress();

  // ---- the worker reads ----

  struct Counts {
    std::uint32_t started = 0, finished = 0;
    TimePoint started_at;  // of the last item that was started
  };
  // Nothing if the instance has not begun this batch.
  std::optional<Counts> counts(std::size_t sheet, std::uint64_t batch) const;
  // ... and recalls: how many items of the batch, from the first, have been started. No others will
  // be. Batches of one board have growing numbers.
  std::uint32_t recall(std::size_t sheet, std::uint64_t batch);

  // Copies the entry at `offset` of the area and moves `offset` behind it. Rejects what a sound
  // instance never writes. With kInMemfd, `payload` stays as it is.
  Result<void> read(std::size_t sheet, std::size_t& offset, ResultHeader& header,
                    std::string& payload) const;

  std::uint32_t peak_memory_kb() const;
  std::optional<Progress> progress() const;  // of the running item, if it reported any

 private:
  struct State;
  static Result<Board> map(int memfd);
  Board(Fd memfd, void* mapping) : memfd_(std::move(memfd)), mapping_(mapping) {}
  State& state() const { return *static_cast<State*>(mapping_); }
  std::byte* area(std::size_t sheet) const;

  Fd memfd_;
  void* mapping_ = nullptr;
  // The instance's own view of the batch on each sheet.
  struct Writing {
    std::uint32_t items = 0, started = 0, finished = 0;
    std::size_t written = 0;
  };
  std::array<Writing, kSheets> writing_{};
};

// Splits a payload as its header says; both must come from the same entry.
ResultTexts split(const ResultHeader& header, std::string_view payload);

}  // namespace fanfare::worker
