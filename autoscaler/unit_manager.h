// What the driver wants of systemd, and tests stand in for. Its calls may block: they belong on a
// thread of their own.
#pragma once

#include <string>
#include <vector>

#include "autoscaler/worker_units.h"
#include "base/result.h"

namespace fanfare::autoscaler {

class UnitManager {
 public:
  virtual ~UnitManager() = default;

  // Those of the units PREFIX…  that run, start or stop, each with that of `pids` that runs in it.
  // All three: kReconnect: systemd does not answer; kFatal: it refuses, with its words.
  virtual Result<std::vector<WorkerUnit>> units(const std::string& prefix,
                                                const std::vector<std::uint32_t>& pids) = 0;
  // Puts the job into systemd's queue and does not wait for its end.
  virtual Result<void> start(const std::string& unit) = 0;
  virtual Result<void> stop(const std::string& unit) = 0;
};

}  // namespace fanfare::autoscaler
