#include "tests/chaos/scenario.h"

namespace fanfare::chaos {

std::vector<Scenario> scenarios() {
  // clang-format off: one a line, so that lines can be added side by side
  return {
      broker_crash(),
      worker_storm(),
      redis_kill(),
      power_loss(),
      two_brokers(),
      lost_replies(),
      batch_limits(),
      clock_steps(),
      hung(),
      poison(),
      disk_full(),
      redis_full(),
      disk_errors(),
      slow_redis(),
      backlog(),
      herd(),
      overload(),
      zygote_death(),
      orphans(),
      churn(),
      worker_gone(),
      hogs(),
      order(),
      delayed(),
      same_key(),
      stuck(),
      exhaustion(),
      restart(),
      tokens(),
      everything(),
      network_cut(),
  };
  // clang-format on
}

std::vector<Elsewhere> elsewhere() {
  return {
      {7, "simulation",
       "messages lost, doubled, late and out of order, and crashes, on a simulated clock",
       "`build/release/bin/simulation` (tests/simulation); its own controls are the tests "
       "`WithoutProtection`"},
      {8, "errors within a function of Redis",
       "an error at each call to Redis of each function of the library, in turn",
       "`store_redis_tests` (store/fault_test.cc); its own controls are the tests `FaultsControl`"},
      {28, "impostors",
       "connections that speak no ZeroMQ, dally, have no key, another one, or one that is not "
       "allowed (any more); messages that a key's role does not allow; another worker's name",
       "`base_tests` (base/zmq_curve_test.cc) and `broker_shell_tests` "
       "(broker/remote_door_test.cc)"},
  };
}

}  // namespace fanfare::chaos
