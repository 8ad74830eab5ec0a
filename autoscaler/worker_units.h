// Which of the units fanfare-worker@1, @2, … to start and which to stop. No I/O.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "autoscaler/driver.h"
#include "base/time.h"

namespace fanfare::autoscaler {

struct WorkerUnit {
  std::uint32_t number = 0;  // of fanfare-worker@NUMBER.service
  bool leaving = false;      // it is being stopped, and drains
  bool failed = false;       // it has ended with an error, and systemd does not start it again
  std::uint32_t pid = 0;     // of a connected worker that runs in it; 0: none does
};

// Whether a unit in this state, with this job in systemd's queue ("" if none), is on its way out
// for good: one that is stopped to be started again is not.
bool is_leaving(std::string_view active_state, std::string_view job);
// Whether it counts at all: it runs, starts, stops, is told to start, or has failed.
bool is_there(std::string_view active_state, std::string_view job);
bool has_failed(std::string_view active_state, std::string_view job);

// "fanfare-worker@" and ".service" around a number from 1 to 99999, without leading zeros; 0 for
// anything else, as instances that people have named otherwise, which are left alone.
std::uint32_t number_in(std::string_view unit, std::string_view prefix);

// A unit that fails, as with settings that are wrong, is left alone for so long after it was last
// started here; meanwhile its number stands for a worker, so that no other is tried in its place.
inline constexpr Duration kRetryFailed = std::chrono::minutes{1};

// When units were last started here, and when systemd last refused to (as those that are masked),
// by number.
struct Attempts {
  std::map<std::uint32_t, TimePoint> started, refused;
};
// Leaves out the failed ones whose time has come.
void forget_old_failures(std::vector<WorkerUnit>& units, const Attempts& attempts, TimePoint now);
// Numbers that are not tried now, as they were refused less than kRetryFailed ago.
std::set<std::uint32_t> set_aside(const Attempts& attempts, TimePoint now);

// With so many set aside it is no matter of single units, and no others are tried for now.
inline constexpr std::size_t kAsideMax = 10;

WorkerSet count(const std::vector<WorkerUnit>& units);

struct UnitChanges {
  std::vector<std::uint32_t> start, stop;
};

// So that `workers` run: the lowest free numbers start, the highest stop. A number that is
// leaving is not free: it would start only when it has drained, which may take hours. Failed ones
// count as running, and nobody stops them. Numbers that are set aside are stepped over.
UnitChanges changes_to(std::vector<WorkerUnit> units, std::uint32_t workers,
                       const std::set<std::uint32_t>& aside = {});

}  // namespace fanfare::autoscaler
