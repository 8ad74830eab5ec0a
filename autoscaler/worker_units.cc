#include "autoscaler/worker_units.h"

#include <algorithm>
#include <charconv>

namespace fanfare::autoscaler {

bool is_leaving(std::string_view active_state, std::string_view job) {
  const bool comes_back = job == "restart" || job == "start" || job == "try-restart";
  return job == "stop" || (active_state == "deactivating" && !comes_back);
}

bool is_there(std::string_view active_state, std::string_view job) {
  return active_state != "inactive" || job == "start" || job == "restart";
}

bool has_failed(std::string_view active_state, std::string_view job) {
  return active_state == "failed" && job != "start" && job != "restart";
}

void forget_old_failures(std::vector<WorkerUnit>& units, const Attempts& attempts, TimePoint now) {
  const auto& starts = attempts.started;
  std::erase_if(units, [&](const WorkerUnit& unit) {
    const auto started = starts.find(unit.number);
    return unit.failed && (started == starts.end() || started->second + kRetryFailed <= now);
  });
}

std::set<std::uint32_t> set_aside(const Attempts& attempts, TimePoint now) {
  std::set<std::uint32_t> aside;
  for (const auto& [number, at] : attempts.refused) {
    if (now < at + kRetryFailed) aside.insert(number);
  }
  return aside;
}

std::uint32_t number_in(std::string_view unit, std::string_view prefix) {
  constexpr std::string_view kSuffix = ".service";
  constexpr std::size_t kDigitsMax = 5;
  if (!unit.starts_with(prefix) || !unit.ends_with(kSuffix)) return 0;
  unit.remove_prefix(prefix.size());
  if (unit.size() <= kSuffix.size()) return 0;
  unit.remove_suffix(kSuffix.size());
  if (unit.size() > kDigitsMax || unit.front() == '0') return 0;
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(unit.data(), unit.data() + unit.size(), number);
  return error == std::errc{} && end == unit.data() + unit.size() ? number : 0;
}

WorkerSet count(const std::vector<WorkerUnit>& units) {
  WorkerSet set;
  for (const WorkerUnit& unit : units) {
    ++(unit.failed ? set.failed : unit.leaving ? set.leaving : set.running);
  }
  return set;
}

UnitChanges changes_to(std::vector<WorkerUnit> units, std::uint32_t workers,
                       const std::set<std::uint32_t>& aside) {
  std::ranges::sort(units, {}, &WorkerUnit::number);
  UnitChanges changes;
  std::set<std::uint32_t> taken;
  std::vector<std::uint32_t> running;
  std::uint32_t failed = 0;
  for (const WorkerUnit& unit : units) {
    taken.insert(unit.number);
    if (unit.failed) {
      ++failed;
    } else if (!unit.leaving) {
      running.push_back(unit.number);
    }
  }
  while (running.size() > workers) {
    changes.stop.push_back(running.back());
    running.pop_back();
  }
  if (aside.size() >= kAsideMax) return changes;
  for (std::uint32_t number = 1; running.size() + failed + changes.start.size() < workers;
       ++number) {
    if (!taken.contains(number) && !aside.contains(number)) changes.start.push_back(number);
  }
  return changes;
}

}  // namespace fanfare::autoscaler
