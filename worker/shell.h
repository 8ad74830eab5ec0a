// The worker's I/O: socket, Redis, processes, clock, signals. Every decision is the core's.
//
// A turn of the loop: frames, results, deaths and Redis' answers go into the core as they come; at
// the end of the turn the core is flushed once. So the results of a turn share commits, and what
// they free is granted as credit in one message.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/daemon.h"
#include "base/endpoint_link.h"
#include "base/idle_memory.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics_server.h"
#include "base/redis_options.h"
#include "base/zmq_socket.h"
#include "store/store.h"
#include "worker/config.h"
#include "worker/core.h"
#include "worker/local_door.h"
#include "worker/package_cache.h"
#include "worker/processes.h"
#include "worker/relay.h"

namespace fanfare::worker {

class Shell : private Effects {
 public:
  // Neither the broker nor Redis need be there: the worker waits for them and says so.
  static Result<std::unique_ptr<Shell>> start(Loop& loop, Config config);
  ~Shell() override;
  Shell(const Shell&) = delete;
  Shell& operator=(const Shell&) = delete;

  // SIGTERM drains, a second one stops at once, a third one does not even report. The loop ends.
  void on_signal(int signal);
  void set_log_level(const std::string& level);

  const Core& core() const { return *core_; }

 private:
  // Without `redis`: through the broker.
  Shell(Loop& loop, Config config, CoreOptions options, std::optional<RedisOptions> redis,
        RunAs run_as, std::shared_ptr<const CurveClient> keys);
  void reach_redis(const RedisOptions& redis);
  void reach_redis_by_broker();

  // What the core wants done.
  void send(std::string frame) override;
  bool start_zygote(ZygoteId zygote, const protocol::FunctionSpec& spec,
                    const protocol::Manifest& manifest) override;
  void stop_zygote(ZygoteId zygote) override;
  std::string printed_by(ZygoteId zygote) override;
  bool fork(ZygoteId zygote, InstanceId instance) override;
  Result<InstanceHandle::Sent> run(InstanceId instance, std::span<const Item> items) override;
  std::optional<InstanceHandle::Running> running(InstanceId instance) override;
  std::vector<InstanceHandle::Kept> recall(InstanceId instance) override;
  std::optional<Progress> progress(InstanceId instance) override;
  void kill(InstanceId instance, int signal) override;
  void commit(CommitId id, const store::Commit& call) override;
  std::optional<InstanceHandle::Output> output(InstanceId instance) override;
  void meter(const store::Meter& call) override;
  void read_rows(ReadId id, store::Call call) override;
  void give_rows(InstanceId instance, std::uint64_t number,
                 const Result<store::Rows>& rows) override;
  void give_invoked(InstanceId instance, std::uint64_t number, const InvokeAnswer& answer) override;
  void answer_caller(CallerId caller, std::uint64_t request, std::string frame) override;
  void report(const AttemptReport& report) override;
  void print(const OutputLine& line) override;
  void say_left_out(const LeftOut& left_out) override;
  void warn(std::string_view line) override;

  void turn();
  std::uint64_t work_done() const;
  void arm_tick();
  void write_outbox();
  void zygote_failed(ZygoteId zygote, const Error& error);
  void open_door();
  void say_unreachable();
  void say_fenced();
  void write_lines();
  Result<void> serve_metrics();
  std::string metrics_page();
  bool ready() const;

  Loop& loop_;
  Config config_;
  std::shared_ptr<const CurveClient> keys_;  // to the broker; none on its machine
  ServiceManager service_;
  ZmqContext context_;
  std::unique_ptr<EndpointLink> link_;
  std::deque<std::string> outbox_;  // what the socket would not take yet
  std::unique_ptr<Relay> relay_;    // if Redis is reached through the broker
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<PackageCache> packages_;
  std::unique_ptr<Core> core_;
  std::unique_ptr<Processes> processes_;
  std::unique_ptr<LocalDoor> door_;  // once the broker was there, if it has such a place
  bool door_tried_ = false;
  std::unique_ptr<MetricsServer> metrics_;
  std::map<ZygoteId, protocol::Manifest> preparing_;  // their package is on its way
  Timer tick_, housekeeping_;
  TimePoint tick_at_;
  TimePoint started_at_;
  Loop::Hook turn_hook_, lines_hook_;
  std::vector<std::pair<std::string, std::string>> later_lines_;  // with their fields; of a turn
  IdleMemory idle_memory_;
  int stop_signals_ = 0;
  bool redis_up_ = false;  // where it reaches Redis by itself
  bool was_joined_ = false;
  bool said_stopped_ = false;
  std::uint64_t fenced_said_ = 0;
  LogThrottle broker_log_, refusal_log_, redis_log_, warn_log_{std::chrono::seconds{1}};
};

}  // namespace fanfare::worker
