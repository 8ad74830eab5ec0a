// The schedules that triggers.toml declares, against those that lie in Redis.
//
// Declared ones are kept in Redis like others, marked as such: what is declared no longer goes,
// what operators have added by name stays. No I/O, no clock.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "store/schedule_calls.h"
#include "triggers/schedule.h"

namespace fanfare::triggers {

struct ScheduleChange {
  enum class What : std::uint8_t { kAdded, kReplaced, kTakenOver, kRemoved };
  What what = What::kAdded;  // taken over: an operator had added one of the same name
  store::SetSchedule call;
};
std::string_view to_string(ScheduleChange::What what);

// What has to be written so that exactly `declared` are there besides what operators have added.
// What says the same as before keeps its ledger, and counts since it was declared first; what is
// new counts since `now`. `held` are all that lie in Redis.
std::vector<ScheduleChange> changes_of(const std::vector<Schedule>& declared,
                                       const std::vector<store::ScheduleList::Item>& held,
                                       WallTime now);

}  // namespace fanfare::triggers
