// All schedules as one scheduler knows them: which are due, what each writes, when to look again.
//
// What is to happen leaves as store::Fire calls; their answers come back to on_fired. A schedule
// has at most one call under way. Other schedulers may be at work on the same schedules: a row that
// somebody else has moved is taken over as it is, and decided by anew.
//
// No I/O, no clock of its own, one thread. A turn costs what is due, not what there is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "base/result.h"
#include "base/time.h"
#include "store/schedule_calls.h"
#include "triggers/schedule.h"

namespace fanfare::triggers {

// A row of the ledger: "<handled, Unix ms> <fired> <missed> <overlapped>", counted since the
// schedule was defined, and once something was missed also when that was noticed last, in Unix ms.
// Older schedulers write no such time, and take a row that has one for unreadable.
struct LedgerRow {
  WallTime handled;
  std::uint64_t fired = 0, missed = 0, overlapped = 0;
  WallTime missed_at{};  // the epoch: not known
  bool operator==(const LedgerRow&) const = default;
};
std::string to_text(const LedgerRow& row);
// The empty text is a row that nothing has happened to. kReject for what no scheduler has written.
Result<LedgerRow> parse_ledger_row(std::string_view text);

class ScheduleTable {
 public:
  struct Counters {
    std::uint64_t fired = 0;       // events, by this scheduler
    std::uint64_t missed = 0;      // instants that it passed over
    std::uint64_t overlapped = 0;  // …
    std::uint64_t beaten = 0;      // another scheduler was first
    std::uint64_t failed = 0;      // calls that Redis refused; tried again
    std::uint64_t decisions = 0;
  };
  static constexpr Duration kRetryPause = std::chrono::seconds{1};

  // Everything that the store lists. What is not listed is gone. Returns what cannot be read, each
  // with the schedule's name: it stands still until it is defined anew.
  std::vector<Error> load(std::vector<store::ScheduleList::Item> items);

  // What is to be written now, the longest overdue first. `clock_behind` names schedules that wait
  // because the clock was set back behind what has fired.
  struct Turn {
    std::vector<store::Fire> calls;
    std::vector<std::string> clock_behind;
  };
  Turn take_due(WallTime now, std::size_t calls_max = 256);
  void on_fired(const store::Fire& call, const Result<store::Fired>& answer, WallTime now);

  // When there is something to do again; in the past: now.
  std::optional<WallTime> next_wake() const;
  const Counters& counters() const { return counters_; }
  // Of fires with events that this scheduler brought about: from when they were due, as it knew
  // beforehand, until Redis had them. What was due before it knew of the schedule is not in it.
  const Histogram& lag() const { return lag_; }
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Schedule schedule;
    std::uint64_t revision = 0;
    std::string definition;
    std::string row_text;
    LedgerRow row;
    bool under_way = false;
    std::optional<WallTime> wake;  // as in wakes_
    std::optional<WallTime> due;   // of the call that is under way, or to be made again
  };
  using Entries = std::map<std::string, Entry>;
  void wake_at(const std::string& name, Entry& entry, std::optional<WallTime> when);
  std::optional<store::Fire> step(Entry& entry, const Decision& decision, WallTime now) const;

  Entries entries_;
  std::set<std::pair<WallTime, std::string>> wakes_;
  Counters counters_;
  Histogram lag_{duration_buckets()};
};

}  // namespace fanfare::triggers
