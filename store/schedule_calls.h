// The calls on schedules: their definitions, and the ledger of how far each has been handled.
//
// A schedule's row of the ledger and its event change in one step: Fire moves the row from what it
// was decided by to what the decision made of it, and puts the events into the triggers' outbox,
// from where the broker appends them. Any number of schedulers may try; the row lets one through.
// What definitions and rows say is the schedulers' own (triggers/).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace fanfare::store {

// Whose outbox holds what triggers publish. No function can have this name.
inline constexpr std::string_view kTriggers = "@triggers";

inline constexpr std::size_t kScheduleNameMax = 64, kScheduleRowMax = 256;
inline constexpr std::size_t kScheduleDefinitionMax = 256u << 10;
inline constexpr std::size_t kSchedulesMax = 100'000;
inline constexpr std::size_t kTriggersOutboxMax = 100'000;  // entries

// Defines a schedule, or with an empty definition removes it. Its row of the ledger goes: what is
// defined begins anew.
struct SetSchedule {
  std::string name;
  std::string definition;
};
struct ScheduleSet {
  bool existed = false;
  std::uint64_t revision = 0;  // of all schedules, grows with each change; 0: there are too many
};

// At most 256 events and 256 KiB; there may be none.
struct Fire {
  std::string name;
  std::uint64_t revision = 0;  // of the definition, as listed
  std::string row_before;      // the row that this was decided by; empty: there was none
  std::string row_after;
  std::vector<std::string> packed_events;
};
struct Fired {
  enum class Outcome : std::uint8_t {
    kDone = 0,
    kDoneBefore = 1,  // the row is there already: a repeat, or another scheduler came to the same
    kStale = 2,       // the row or the definition is another one: nothing was written
    kFull = 3,        // nor here: kTriggersOutboxMax events wait for the broker already
  };
  Outcome outcome = Outcome::kDone;
  std::string row;  // as it is now
};

// A part of all schedules, in no order; one that is there all the time is told at least once. Read
// only. Whoever reads all of them with the same revision throughout has read one state.
struct ListSchedules {
  std::string cursor;  // empty: from the beginning
};
struct ScheduleList {
  struct Item {
    std::string name, definition, row;
    std::uint64_t revision = 0;  // at which it was defined
  };
  std::vector<Item> items;
  std::uint64_t revision = 0;
  std::string next;  // the cursor to go on with; empty: that was all
};

// At which revision schedules are. Read only.
struct GetRevision {};
struct Revision {
  std::uint64_t revision = 0;
};

}  // namespace fanfare::store
