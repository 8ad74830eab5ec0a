#include "tests/chaos/scenario.h"

namespace fanfare::chaos {

std::vector<Scenario> scenarios() {
  return {broker_crash(), worker_storm(), redis_kill(), two_brokers(),  lost_replies(),
          clock_steps(),  hung(),         poison(),     disk_full(),    redis_full(),
          disk_errors(),  slow_redis(),   overload(),   zygote_death(), orphans(),
          worker_gone(),  order(),        delayed(),    same_key(),     stuck()};
}

}  // namespace fanfare::chaos
