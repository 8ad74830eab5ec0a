#include "autoscaler/drains.h"

#include <algorithm>

namespace fanfare::autoscaler {
namespace {

// Which of them is the worker of this unit; its process says.
const ConnectedWorker* worker_of(const WorkerUnit& unit, const Fleet& fleet) {
  const auto at = std::ranges::find_if(fleet.workers, [&](const ConnectedWorker& worker) {
    return unit.pid != 0 && worker.pid == unit.pid && worker.host == fleet.boot;
  });
  return at == fleet.workers.end() ? nullptr : &*at;
}

const ConnectedWorker* worker_named(const std::string& name, const Fleet& fleet) {
  const auto at = std::ranges::find(fleet.workers, name, &ConnectedWorker::name);
  return at == fleet.workers.end() ? nullptr : &*at;
}

const WorkerUnit* unit_numbered(std::uint32_t number, const Fleet& fleet) {
  const auto at = std::ranges::find(fleet.units, number, &WorkerUnit::number);
  return at == fleet.units.end() ? nullptr : &*at;
}

bool runs(const WorkerUnit* unit) {
  return unit && !unit->leaving && !unit->failed;
}

// The broker may still have the process that was told to go, or one that was told to stop: a word
// to it would be refused, or meant for another one.
bool is_gone(const Drain& drain, const Fleet& fleet) {
  return std::ranges::none_of(fleet.workers, [&](const ConnectedWorker& worker) {
    return worker.name == drain.worker &&
           (worker.pid == drain.pid || worker.state == "terminating");
  });
}

bool has_finished(const Drain& drain, const Fleet& fleet, TimePoint now, Duration finish_time) {
  const ConnectedWorker* worker = worker_named(drain.worker, fleet);
  if (!worker || drain.lost || drain.since + finish_time <= now) return true;
  return worker->state == "quiet" && worker->held == 0;
}

bool was_taken_back(const Drain& drain, const Fleet& fleet, TimePoint now) {
  const ConnectedWorker* worker = worker_named(drain.worker, fleet);
  return worker && worker->state == "running" && drain.since + kTakenBackAfter <= now;
}

// Those that drain leave, as far as anybody counts.
std::vector<WorkerUnit> counted(const Fleet& fleet, const Drains& drains) {
  std::vector<WorkerUnit> units = fleet.units;
  for (WorkerUnit& unit : units) {
    unit.leaving = unit.leaving || (drains.contains(unit.number) && !unit.failed);
  }
  return units;
}

// Goes through the drains: who is taken back stays in none of the lists.
void look_after(const Drains& drains, const Fleet& fleet, TimePoint now, Duration finish_time,
                std::size_t missing, Steps& steps) {
  for (const auto& [number, drain] : drains) {
    const bool may_stay = !drain.stopped && runs(unit_numbered(number, fleet));
    if (!may_stay) {
      if (is_gone(drain, fleet)) steps.free.push_back(drain);
    } else if (was_taken_back(drain, fleet, now)) {
      steps.forget.push_back(number);
    } else if (steps.take_back.size() < missing && !drain.lost) {
      steps.take_back.push_back(drain);
    } else if (has_finished(drain, fleet, now, finish_time)) {
      steps.stop.push_back(number);
    }
  }
}

}  // namespace

WorkerSet count(const Fleet& fleet, const Drains& drains) {
  WorkerSet set = count(counted(fleet, drains));
  set.refused = static_cast<std::uint32_t>(fleet.aside.size());
  for (const auto& [number, drain] : drains) set.drains.push_back(drain);
  for (const ConnectedWorker& worker : fleet.workers) {
    if (worker.state != "running" || fleet.boot.empty()) continue;
    const bool is_ours = std::ranges::any_of(
        fleet.units, [&](const WorkerUnit& unit) { return worker_of(unit, fleet) == &worker; });
    if (!is_ours) set.slots_elsewhere += worker.slots;
  }
  return set;
}

Steps steps_to(std::uint32_t wanted, const Fleet& fleet, const Drains& drains, TimePoint now,
               Duration finish_time) {
  Steps steps;
  const std::uint32_t here = count(counted(fleet, drains)).running;
  look_after(drains, fleet, now, finish_time, wanted > here ? wanted - here : 0, steps);
  Drains staying = drains;
  for (const Drain& drain : steps.take_back) staying.erase(drain.number);
  const UnitChanges changes = changes_to(counted(fleet, staying), wanted, fleet.aside);
  steps.start = changes.start;
  for (const std::uint32_t number : changes.stop) {
    const ConnectedWorker* worker = worker_of(*unit_numbered(number, fleet), fleet);
    if (!worker || worker->state == "terminating" || finish_time <= Duration{}) {
      steps.stop.push_back(number);
    } else {
      steps.quiet.push_back(
          {.number = number, .worker = worker->name, .pid = worker->pid, .since = now});
    }
  }
  return steps;
}

}  // namespace fanfare::autoscaler
