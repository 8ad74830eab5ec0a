// What the operator of a simulated world does besides deploying: holds functions up, empties
// queues, ends deliveries, makes workers quiet. When the faults are over all goes on again.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/client_nodes.h"
#include "tests/simulation/world.h"

namespace fanfare::simulation {

class Operator {
 public:
  // `node` speaks for it; `lives` tells whether there is a process of a worker's name.
  Operator(World& world, CallerNode& node, std::vector<std::string> workers,
           std::function<bool(const std::string&)> lives)
      : world_(world), node_(node), workers_(std::move(workers)), lives_(std::move(lives)) {}

  void hold_up();  // a function, or lets it go on
  void purge();
  void cancel();   // a late event, of one function or of all; every answer is checked
  void quieten();  // a worker, or takes it back

  // Asks until everything that was held up goes on.
  void set_all_free();
  bool all_free() const { return paused_.empty() && quiet_.empty(); }

 private:
  void resume(const std::string& function);
  void take_back(const std::string& worker);
  void ask_until_free();
  const std::string& some_function();

  World& world_;
  CallerNode& node_;
  const std::vector<std::string> workers_;
  const std::function<bool(const std::string&)> lives_;
  std::uint64_t turn_ = 0;  // raised by set_all_free: from then on only what it asks is asked
  std::set<std::string> paused_, quiet_;  // perhaps: an answer may have been lost
};

}  // namespace fanfare::simulation
