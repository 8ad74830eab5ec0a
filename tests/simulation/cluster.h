// All processes of a simulated world, and the supervisor that starts them again when they end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/simulation/broker_node.h"
#include "tests/simulation/client_nodes.h"
#include "tests/simulation/operator.h"
#include "tests/simulation/worker_node.h"
#include "tests/simulation/world.h"

namespace fanfare::simulation {

class Cluster {
 public:
  explicit Cluster(World& world);

  // ---- faults ----
  void crash_broker();
  void pause_broker(Duration pause);
  // Holds the broker up, and starts another one meanwhile.
  void replace_broker(Duration pause);
  void crash_worker();
  void crash_instance();
  void crash_zygote();
  void crash_publisher();
  void drain_worker();
  void break_connection();
  void cut_off(Duration pause);
  void step_clock(Duration by);
  void deploy();
  Operator& control() { return *control_; }
  void redrive();  // some letters of some function
  // From a stranger, a publisher or a worker towards the broker, or from it towards a worker.
  void send_garbage();

  // ---- the end ----
  // Nothing is published any more, nobody waits for anything.
  bool clients_idle() const;
  // What the acting broker believes to be left; empty: nothing.
  std::string what_brokers_hold() const;
  std::string what_workers_hold() const;

 private:
  struct WorkerPlace {
    std::string name, host;
    std::unique_ptr<WorkerNode> node;
    bool starting = false;
  };
  broker::CoreOptions broker_options();
  void start_broker();
  void start_worker(WorkerPlace& place);
  void start_publisher(std::size_t place);
  void supervise();
  WorkerNode* some_worker();
  ClientSocket* some_socket();

  World& world_;
  broker::CoreOptions broker_options_;
  std::vector<std::unique_ptr<BrokerNode>> brokers_;  // the one started last is the last
  bool broker_starting_ = false;
  std::vector<WorkerPlace> workers_;
  std::vector<std::unique_ptr<PublisherNode>> publishers_;
  std::vector<std::unique_ptr<CallerNode>> callers_;
  std::unique_ptr<CallerNode> operator_;
  std::unique_ptr<Operator> control_;
  std::unique_ptr<StrangerNode> stranger_;
  std::uint32_t next_generation_ = 2;
};

}  // namespace fanfare::simulation
