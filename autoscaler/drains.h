// Workers on their way out: who is told to finish, whose unit is stopped, who is taken back.
//
// A worker goes in three steps. Quiet: the broker sends it nothing new. Finish: it ends what it
// holds, for `finish_time` at most. Leave: its unit is stopped, which gives it [worker] grace for
// what it holds still. Until then it can be taken back, which is quicker than starting another one.
// The broker keeps the wish that a worker be quiet by its name, beyond its end; so the wish is
// taken back once it is gone, or the next worker of that name would idle.
//
// No I/O, no clock.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "autoscaler/broker_view.h"
#include "autoscaler/driver.h"
#include "autoscaler/worker_units.h"
#include "base/time.h"

namespace fanfare::autoscaler {

// One whom the broker shows as running for so long after it was told to finish was taken back by
// somebody, or the broker has started anew and does not know of it: several heartbeats.
inline constexpr Duration kTakenBackAfter = std::chrono::seconds{10};

// What there is at a tick.
struct Fleet {
  std::vector<WorkerUnit> units;         // of this host, with numbers; none that failed long ago
  std::vector<ConnectedWorker> workers;  // the broker's, of all hosts
  std::string boot;                      // of this host; empty: not known
  std::set<std::uint32_t> aside;         // numbers that systemd has refused to start lately
};

// By number.
using Drains = std::map<std::uint32_t, Drain>;

// Counts those that drain as leaving.
WorkerSet count(const Fleet& fleet, const Drains& drains);

struct Steps {
  // What the broker is told, in this order. `free`: of workers that are gone.
  std::vector<Drain> free, take_back, quiet;
  std::vector<std::uint32_t> start, stop;  // units
  std::vector<std::uint32_t> forget;       // drains that are none any more
};

// So that `wanted` take work. Who finishes is taken back first, the lowest number first; then units
// start at the lowest free numbers. The highest go. With a `finish_time` of zero, and if the broker
// does not know them, units are stopped at once.
Steps steps_to(std::uint32_t wanted, const Fleet& fleet, const Drains& drains, TimePoint now,
               Duration finish_time);

}  // namespace fanfare::autoscaler
