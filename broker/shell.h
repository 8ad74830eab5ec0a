// The broker's I/O: sockets, Redis, clock, signals. Every decision is the core's.
//
// A turn of the loop: frames and Redis' answers go into the core as they arrive; at the end of the
// turn the core is flushed once, and what it wants sent goes out. So all events of a turn share one
// journal write, and all deliveries of a turn one message per worker.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/daemon.h"
#include "base/direct_door.h"
#include "base/idle_memory.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics_server.h"
#include "base/process.h"
#include "base/redis_link.h"
#include "base/zmq_socket.h"
#include "broker/config.h"
#include "broker/core.h"
#include "broker/redis_watch.h"
#include "broker/remote_door.h"
#include "broker/send_queue.h"
#include "broker/steady_wall.h"
#include "store/redis_store.h"

namespace fanfare::broker {

class Shell {
 public:
  // Checks Redis (waiting for it if it is not there yet), binds, takes office.
  static Result<std::unique_ptr<Shell>> start(Loop& loop, const Config& config);
  ~Shell();

  // Ends the loop when draining is done or the broker was replaced.
  void on_signal(int signal);
  // Why the loop ended, if not because it was asked to.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  Shell(Loop& loop, const Config& config, CoreOptions options, const RedisOptions& redis);
  Result<void> listen();
  enum class Endpoint { kToBeBound, kOurs };
  Result<void> open_direct_door(Endpoint endpoint);
  Result<void> open_to_others();
  Result<void> send(const std::string& peer, std::string&& frame);
  Now now();
  void turn();
  std::string metrics_page();
  void fail(const Error& error);
  void carry_out();
  void relay();
  void tell_relay_trouble(std::string_view why);
  void read_package(const std::string& digest);
  std::uint64_t work_done() const;
  void arm_tick();
  void watch_joined();
  void log_unreadable();
  void stop_when_drained();

  Loop& loop_;
  Config config_;
  RedisOptions redis_;
  SteadyWall wall_;
  Now now_;
  std::chrono::milliseconds kept_off_told_{0};
  std::string host_id_;
  ServiceManager service_;
  ZmqContext context_;
  std::unique_ptr<ZmqSocket> socket_;   // of this machine's peers
  std::unique_ptr<DirectDoor> direct_;  // of those of them who can do without ZeroMQ
  std::unique_ptr<RemoteDoor> remote_;  // of others', if they may come in
  std::unique_ptr<SendQueue> send_queue_;
  std::unique_ptr<store::RedisStore> store_;
  // Of workers that have no way to Redis, each made when it is first needed: their calls, and their
  // packages, stand neither before the broker's own calls nor before each other.
  std::unique_ptr<store::RedisStore> relay_store_;
  std::unique_ptr<RedisLink> package_link_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<RedisWatch> redis_watch_;  // if there are metrics
  std::unique_ptr<MetricsServer> metrics_;
  std::map<SessionId, std::unique_ptr<PidWatch>> watched_;
  Timer tick_;
  TimePoint tick_at_;
  Loop::Hook turn_hook_;
  IdleMemory idle_memory_;
  bool announced_ready_ = false;
  bool draining_ = false;
  TimePoint drain_ends_at_;
  LogThrottle peer_log_, redis_log_, relay_log_, clock_log_;
  std::uint64_t unreadable_logged_ = 0;
  std::uint64_t redis_lost_ = 0, redis_restarts_ = 0;
  std::optional<Error> failure_;
};

}  // namespace fanfare::broker
