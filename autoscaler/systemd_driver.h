// Workers as units of systemd on this host: fanfare-worker@1.service, @2, …, started and stopped
// over D-Bus. Stopping one sends it SIGTERM, upon which it drains.
//
// Needs root, or what else polkit lets manage units. Each call has a thread for as long as it
// takes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "autoscaler/driver.h"
#include "autoscaler/worker_units.h"
#include "base/loop.h"

namespace fanfare::autoscaler {

class SystemdDriver final : public Driver {
 public:
  // `prefix`: of the units' names, up to the "@", which belongs to it.
  SystemdDriver(Loop& loop, std::string prefix);
  ~SystemdDriver() override;  // waits for a call that is under way

  // What SystemdManager answers.
  void count(OnCount on_count) override;
  void scale_to(std::uint32_t workers, OnScaled on_scaled) override;

 private:
  // Runs `ask` on a thread and then `tell`, with what it returned, on the loop.
  template <typename Answer>
  void run(std::function<Answer()> ask, std::function<void(Answer)> tell);

  Loop& loop_;
  const std::string prefix_;
  Starts starts_;
  std::thread call_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // what is posted holds it weakly
};

}  // namespace fanfare::autoscaler
