// systemd's manager over the system bus (org.freedesktop.systemd1(5)). Its calls block, for 5 s
// each at most.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "autoscaler/unit_manager.h"
#include "base/result.h"

struct sd_bus;

namespace fanfare::autoscaler {

class SystemdManager final : public UnitManager {
 public:
  // kReconnect: there is no system bus, or it does not answer.
  static Result<std::unique_ptr<UnitManager>> connect();

  Result<std::vector<WorkerUnit>> units(const std::string& prefix,
                                        const std::vector<std::uint32_t>& pids) override;
  Result<void> start(const std::string& unit) override;
  Result<void> stop(const std::string& unit) override;

 private:
  struct Close {
    void operator()(sd_bus* bus) const;
  };
  explicit SystemdManager(sd_bus* bus) : bus_(bus) {}
  Result<void> queue_job(const char* method, const std::string& unit);
  // The object of the unit that a process runs in; empty: none, or it is gone.
  std::string unit_of(std::uint32_t pid);
  std::unique_ptr<sd_bus, Close> bus_;
};

}  // namespace fanfare::autoscaler
