// Workers as units of systemd on this host: fanfare-worker@1.service, @2, …, started and stopped
// over D-Bus. One that goes is made quiet at the broker first and finishes there, see drains.h;
// stopping its unit sends it SIGTERM, upon which it drains what is left.
//
// Needs root, or what else polkit lets manage units. Each call of systemd has a thread for as long
// as it takes.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "autoscaler/drains.h"
#include "autoscaler/driver.h"
#include "autoscaler/unit_manager.h"
#include "autoscaler/worker_units.h"
#include "base/loop.h"

namespace fanfare::autoscaler {

// Tells the broker that a worker is to be quiet (`quiet`), or to work. kReject: it does not do so
// with this one. Answers on the loop, not from within the call.
using TellBroker =
    std::function<void(const std::string& worker, bool quiet, std::function<void(Result<void>)>)>;

struct SystemdOptions {
  std::string prefix;      // of the units' names, up to the "@", which belongs to it
  std::string boot;        // this host's, see this_host_id(); empty: nobody is made quiet
  Duration finish_time{};  // how long one may finish before it is stopped
  // Called on threads of the driver's.
  std::function<Result<std::unique_ptr<UnitManager>>()> connect;
  TellBroker tell_broker;
};

class SystemdDriver final : public Driver {
 public:
  SystemdDriver(Loop& loop, SystemdOptions options);
  ~SystemdDriver() override;  // waits for a call that is under way

  // What UnitManager answers.
  void count(const std::vector<ConnectedWorker>& connected, OnCount on_count) override;
  // The first error; the others are done all the same.
  void scale_to(std::uint32_t workers, OnScaled on_scaled) override;
  void adopt(std::vector<Drain> drains) override;
  void release(OnReleased on_released) override;

 private:
  struct Change;  // one that is under way
  struct Carried;
  // Runs `ask` on a thread and then `tell`, with what it returned, on the loop.
  template <typename Answer>
  void run(std::function<Answer()> ask, std::function<void(Answer)> tell);
  void next_word(const std::shared_ptr<Change>& change);
  void on_word(Change& change, const Drain& drain, const Result<void>& done);
  void move_units(const std::shared_ptr<Change>& change);
  void on_moved(Change& change, const Carried& carried);

  Loop& loop_;
  const SystemdOptions options_;
  Attempts attempts_;
  Fleet fleet_;  // as counted last
  Drains drains_;
  std::thread call_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // what is posted holds it weakly
};

}  // namespace fanfare::autoscaler
