#include "triggers/declared_schedules.h"

#include <map>
#include <optional>

#include "triggers/schedule_json.h"

namespace fanfare::triggers {
namespace {

using What = ScheduleChange::What;
// By name; nothing where it cannot be read.
using HeldSchedules = std::map<std::string, std::optional<Schedule>>;

HeldSchedules read_held(const std::vector<store::ScheduleList::Item>& items) {
  HeldSchedules held;
  for (const auto& item : items) {
    auto schedule = schedule_from_json(item.definition);
    held[item.name] = schedule ? std::optional{*std::move(schedule)} : std::nullopt;
  }
  return held;
}

}  // namespace

std::string_view to_string(What what) {
  switch (what) {
    case What::kAdded:
      return "added";
    case What::kReplaced:
      return "replaced";
    case What::kTakenOver:
      return "replaced, which an operator had added";
    case What::kRemoved:
      return "removed";
  }
  return "";
}

std::vector<ScheduleChange> changes_of(const std::vector<Schedule>& declared,
                                       const std::vector<store::ScheduleList::Item>& items,
                                       WallTime now) {
  HeldSchedules held = read_held(items);
  std::vector<ScheduleChange> changes;
  for (Schedule schedule : declared) {
    schedule.declared = true;
    schedule.since = now;
    const auto before = held.extract(schedule.name);
    What what = What::kAdded;
    if (!before.empty()) {
      const auto& old = before.mapped();
      if (old && same_but_for_since(*old, schedule)) continue;
      what = old && !old->declared ? What::kTakenOver : What::kReplaced;
    }
    changes.push_back({what, {schedule.name, to_json(schedule)}});
  }
  for (const auto& [name, old] : held) {
    if (old && old->declared) changes.push_back({What::kRemoved, {name, {}}});
  }
  return changes;
}

}  // namespace fanfare::triggers
