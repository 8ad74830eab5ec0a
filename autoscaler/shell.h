// The I/O of fanfare-autoscaler: a tick, the broker's status, the driver, Redis, signals.
//
// Each tick: ask the broker, count the workers, decide, change, tell. A tick that is not over when
// the next one begins is waited for. Without an answer from broker or driver nothing is decided,
// and nothing is changed.
//
// What it tells in Redis has those that drain: who is started after a sudden end goes on with them.
// Who ends in order takes them back to work.
#pragma once

#include <memory>
#include <optional>

#include "autoscaler/broker_view.h"
#include "autoscaler/config.h"
#include "autoscaler/driver.h"
#include "autoscaler/history.h"
#include "autoscaler/metrics.h"
#include "autoscaler/scaler.h"
#include "base/daemon.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics_server.h"
#include "base/redis_link.h"
#include "base/zmq_socket.h"
#include "client/client.h"

namespace fanfare::autoscaler {

class Shell {
 public:
  // kReject: settings that make no sense. kFatal: what they name cannot be used.
  static Result<std::unique_ptr<Shell>> start(Loop& loop, const Config& config);

  // Ends the loop. Workers stay as they are.
  void on_signal(int signal);

 private:
  Shell(Loop& loop, Config config, const ScalerOptions& options);
  void tick();
  void ask();
  void on_status(const Result<std::string>& status);
  void on_workers(const BrokerView& view, const Result<std::string>& connected);
  void on_count(const BrokerView& view, const Result<WorkerSet>& workers);
  void change(const WorkerSet& workers, const Decision& decision);
  void look_after_drains(std::uint32_t workers);
  void tell_broker(const std::string& worker, bool quiet, std::function<void(Result<void>)> done);
  std::unique_ptr<Driver> make_driver();
  void fail(std::uint64_t& counter, const std::string& what, const Error& error);
  void note_trouble(const std::string& why);
  void end_tick();
  void say_goodbye();

  Loop& loop_;
  Config config_;
  ServiceManager service_;
  Scaler scaler_;
  History history_;
  Metrics metrics_;
  LogThrottle trouble_;
  ZmqContext context_;
  std::unique_ptr<client::Client> client_;
  std::unique_ptr<RedisLink> redis_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<MetricsServer> metrics_server_;
  double slots_;                       // of a worker, as last heard
  std::optional<std::uint32_t> told_;  // of a dry run: the last wish that was logged
  bool knows_drains_ = false;          // what an autoscaler before this one has told was read
  bool busy_ = false;
  bool stopping_ = false;
  Timer tick_;
};

}  // namespace fanfare::autoscaler
