// Decides what a bucket announces: which paths to look at, and what follows from how they look.
//
// Signs (from inotify, from a scan) only say that a path is worth a look. The shell looks at the
// paths that are due and tells what it sees; the core compares that with the ledger. So what is
// announced is always the state of the disk at that moment, in whatever order, and however often,
// signs come; and a sign that is lost costs nothing but a scan. A version that was replaced before
// it was looked at is not announced: nobody could read it any more.
//
// A file is announced when it is complete:
//   - nobody has it open for writing, where the file system can be asked;
//   - where it cannot: a writer has closed it (or moved it into place) since it appeared; or, if no
//     sign says so (it was found by a scan), it has not changed for `settle`;
//   - its last change is older than the file system's clock ticks, so that the next change gives it
//     another modification time.
//
// One batch is in flight at a time. Nothing is looked at meanwhile, so each announcement is as
// fresh as its batch.
//
// Memory: the ledger, and at most 2 × room paths. Signs for which there is no room are dropped, and
// a scan is asked for.
//
// No I/O, no clock, one thread.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "triggers/storage_ledger.h"

namespace fanfare::triggers {

enum class Sign : std::uint8_t {
  kFound,     // it is there, and somebody may still write it
  kAppeared,  // created just now: its closing will tell, as a rule, or else a look a second later
  kClosed,    // a writer has closed it, or it was moved into place
  kGone,      // deleted, or moved away
};

// What the shell sees at a path.
struct Look {
  enum class State : std::uint8_t {
    kFile,        // a regular file
    kAbsent,      // nothing, or something else than a regular file
    kUnreadable,  // the file system does not say
    kForeign,     // not of the bucket: an ignored name
  };
  enum class Writers : std::uint8_t { kNone, kSome, kUnknown };
  State state = State::kAbsent;
  FileVersion version;
  std::int64_t changed_ns = 0;  // ctime: nobody can set it back
  std::int64_t looked_ns = 0;   // the wall clock, read before the file was looked at
  Writers writers = Writers::kUnknown;
};

struct StorageCoreOptions {
  bool announce_existing = true;  // else what the first scan finds is known without a word
  Duration settle = std::chrono::seconds{5};
  std::size_t room = 16'384;    // paths that wait to be looked at
  std::size_t batch_max = 256;  // announcements
};

struct StorageCounters {
  std::uint64_t created = 0, removed = 0;  // announced
  std::uint64_t duplicates = 0;            // of these, what the broker had already
  std::uint64_t refused = 0;               // by the broker; tried again later
  std::uint64_t unreadable = 0;            // looks that came to nothing
  std::uint64_t busy = 0;                  // looks that found a writer
  std::uint64_t signs_dropped = 0;         // no room: a scan follows
  bool operator==(const StorageCounters&) const = default;
};

class StorageCore {
 public:
  StorageCore(StorageLedger ledger, StorageCoreOptions options);

  // ---- Signs
  void sign(const std::string& path, Sign sign, TimePoint now);
  void directory_gone(const std::string& directory, TimePoint now);  // with all below it
  void signs_lost() { scan_wanted_ = true; }

  // ---- Scans: begin, saw each file, end; then sweep until it says that it is done.
  bool scan_wanted() const { return scan_wanted_; }
  bool has_room_to_scan() const { return waiting() < options_.room / 2; }
  void scan_begins();
  void scan_saw(const std::string& path, const FileVersion& version, TimePoint now);
  void scan_ended();
  bool sweep(TimePoint now);  // a thousand files or so at a time; true when done

  // ---- Looks
  // Takes paths to look at, none while a batch is in flight; tell looked() of each.
  std::vector<std::string> take_due(TimePoint now);
  void looked(const std::string& path, const Look& look, TimePoint now);

  // ---- Batches
  // What looks have brought up. Write it to the ledger's file, then tell begun(), or postpone() if
  // it could not be written.
  std::optional<StorageBatch> next_batch(WallTime now);
  void begun(const StorageBatch& batch);
  void postpone(TimePoint now);
  // The broker's word on each announcement of the batch in flight. The record is to be written; it
  // need not be on disk before the next batch is.
  struct Answer {
    bool taken = false, duplicate = false;
  };
  Settled settle(const std::vector<Answer>& answers, TimePoint now);

  // Records to write before the next batch, in their order: they are applied already.
  std::vector<LedgerRecord> take_records() { return std::exchange(records_, {}); }
  void note_root(std::uint64_t inode);

  const StorageLedger& ledger() const { return ledger_; }
  const StorageCounters& counters() const { return counters_; }
  std::size_t waiting() const { return items_.size(); }
  std::optional<TimePoint> next_due() const;  // nothing while a batch is in flight

 private:
  enum class Waits : std::uint8_t {
    kForALook,
    kForTheClock,
    kForAWriter,
    kToSettle,
    kForTheBroker
  };
  struct Item {
    Sign sign = Sign::kFound;
    Waits waits = Waits::kForALook;
    TimePoint due;
    std::uint64_t order = 0;
    unsigned tries = 0;    // of what it waits for
    FileVersion last;      // how it looked
    TimePoint last_since;  // since when
    bool looked = false;
  };
  void put(const std::string& path, Item item, Waits waits, TimePoint due);
  void note(LedgerRecord record);
  void judge_file(const std::string& path, Item item, const Look& look, TimePoint now);

  StorageLedger ledger_;
  StorageCoreOptions options_;
  StorageCounters counters_;
  std::unordered_map<std::string, Item> items_;
  std::set<std::tuple<TimePoint, std::uint64_t, std::string>> by_due_;
  std::unordered_map<std::string, Item> being_looked_at_;
  std::unordered_map<std::string, Item> announced_;  // items of what is ready or in flight
  std::vector<Announcement> ready_;
  std::vector<LedgerRecord> records_;
  std::uint64_t next_order_ = 0;
  bool scan_wanted_ = true;
  bool first_survey_ = false;  // under way
  // A scan compared the disk with a ledger that did not know yet what is in flight.
  bool look_again_ = false;
  std::optional<std::string> sweep_cursor_;
};

}  // namespace fanfare::triggers
