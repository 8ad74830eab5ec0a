// One process of a worker with its zygotes and instances: the core is real, what it has done by
// others (worker::Effects) is simulated here. Some have no way to Redis: their calls go through the
// broker, by the real worker::Relay.
//
// An instance runs what it is handed in order, one item at a time, and behaves as each event says.
// Results that it has finished outlive it, as they do on a real instance's board.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/world.h"
#include "worker/broker_store.h"
#include "worker/core.h"

namespace fanfare::simulation {

class WorkerNode final : public worker::Effects {
 public:
  // `host`: "here" is the broker's own machine.
  WorkerNode(World& world, const std::string& name, const std::string& host);
  ~WorkerNode() override;  // the process has ended, its instances with it
  WorkerNode(const WorkerNode&) = delete;
  WorkerNode& operator=(const WorkerNode&) = delete;

  WorkerLife life_number() const { return number_; }
  const worker::Core& core() const { return *core_; }
  // Those that go by the broker and have no answer yet.
  std::size_t questions() const { return relay_ ? relay_->outstanding() : 0; }
  // It has left after a drain, or a function has killed it.
  bool ended() const { return ended_; }

  void drain();
  void send_garbage();
  ClientSocket& socket() { return *socket_; }
  void crash_some_instance();
  void crash_some_zygote();

 private:
  struct Work {
    std::uint64_t batch = 0;
    std::uint32_t item = 0;
    protocol::EventId id;
    std::uint32_t attempt = 1;
    Script script;
    bool together = false;  // ends with all others of its batch
  };
  struct Zygote {
    std::size_t function = 0;
    bool ready = false;
  };
  struct Instance {
    worker::InstanceId id;
    worker::ZygoteId zygote;
    std::size_t function = 0;
    std::int32_t pid = 0;  // 0 until it was forked
    std::deque<Work> work;
    std::deque<std::pair<std::uint64_t, std::size_t>> open;  // batch → results not handed in
    std::optional<worker::InstanceHandle::Running> running;
    std::vector<worker::ItemResult> finished;  // not handed in
    std::uint64_t next_batch = 1;
    bool told = false;  // the doorbell has rung
    bool dying = false;
  };

  // worker::Effects
  void send(std::string frame) override;
  bool start_zygote(worker::ZygoteId zygote, const protocol::FunctionSpec& spec,
                    const protocol::Manifest& manifest) override;
  void stop_zygote(worker::ZygoteId zygote) override;
  std::string printed_by(worker::ZygoteId) override { return {}; }
  bool fork(worker::ZygoteId zygote, worker::InstanceId instance) override;
  Result<worker::InstanceHandle::Sent> run(worker::InstanceId instance,
                                           std::span<const worker::Item> items) override;
  std::optional<worker::InstanceHandle::Running> running(worker::InstanceId instance) override;
  std::vector<worker::InstanceHandle::Kept> recall(worker::InstanceId instance) override;
  std::optional<worker::Progress> progress(worker::InstanceId instance) override;
  void kill(worker::InstanceId instance, int signal) override;
  void commit(worker::CommitId id, const store::Commit& call) override;
  std::optional<worker::InstanceHandle::Output> output(worker::InstanceId) override { return {}; }
  void meter(const store::Meter& call) override;
  void read_rows(worker::ReadId id, store::Call call) override;
  void give_rows(worker::InstanceId, std::uint64_t, const Result<store::Rows>&) override {}
  void give_invoked(worker::InstanceId, std::uint64_t, const worker::InvokeAnswer&) override {}
  void answer_caller(worker::CallerId, std::uint64_t, std::string) override {}
  void report(const worker::AttemptReport& report) override;
  void print(const worker::OutputLine&) override {}
  void say_left_out(const worker::LeftOut&) override {}
  void warn(std::string_view line) override;

  void call(store::Call call, std::function<void(Result<store::Answer>)> done);
  Now now() const { return world_.schedule.now(); }
  void after(Duration pause, std::function<void()> step) {
    world_.schedule.after(pause, life_, std::move(step));
  }
  void on_frame(std::string_view frame);
  void wake();
  void turn();
  void prepare_zygote(worker::ZygoteId zygote);
  void come_alive(worker::InstanceId id);
  Instance* find(worker::InstanceId id);
  void begin_next(Instance& instance);
  void finish_item(worker::InstanceId id, std::uint64_t batch, std::uint32_t item);
  worker::ItemResult result_of(const Instance& instance, const Work& work);
  void hand_in(Instance& instance);
  void die(worker::InstanceId id, int code, int status);
  void note_failure(const Instance& instance, const Work& work);
  void check_limits();
  void check_counters();

  World& world_;
  const std::string name_;
  const WorkerLife number_;
  const Life life_ = new_life();
  bool woken_ = false;
  bool ended_ = false;
  std::uint64_t tick_ = 0;
  std::int32_t next_pid_ = 1;
  std::map<worker::ZygoteId, Zygote> zygotes_;
  std::map<worker::InstanceId, Instance> instances_;
  std::unique_ptr<worker::Core> core_;
  std::unique_ptr<RedisLink> redis_;  // it has one, or reaches Redis through the broker:
  std::unique_ptr<worker::Relay> relay_;
  std::unique_ptr<worker::BrokerStore> broker_store_;
  std::unique_ptr<ClientSocket> socket_;
};

}  // namespace fanfare::simulation
