// systemd's manager over the system bus (org.freedesktop.systemd1(5)): the three calls that the
// driver needs. They block, for 5 s each at most, and so belong on a thread of their own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autoscaler/worker_units.h"
#include "base/result.h"

struct sd_bus;

namespace fanfare::autoscaler {

class SystemdManager {
 public:
  // kReconnect: there is no system bus, or it does not answer.
  static Result<SystemdManager> connect();

  // Those of the units PREFIX…  that run, start or stop. All three: kReconnect as above; kFatal:
  // systemd refuses, with its words.
  Result<std::vector<WorkerUnit>> units(const std::string& prefix);
  // Puts the job into systemd's queue and does not wait for its end.
  Result<void> start(const std::string& unit);
  Result<void> stop(const std::string& unit);

 private:
  struct Close {
    void operator()(sd_bus* bus) const;
  };
  explicit SystemdManager(sd_bus* bus) : bus_(bus) {}
  Result<void> queue_job(const char* method, const std::string& unit);
  std::unique_ptr<sd_bus, Close> bus_;
};

}  // namespace fanfare::autoscaler
