// What the parts of a simulated world share.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/history.h"
#include "tests/simulation/mutation.h"
#include "tests/simulation/network.h"
#include "tests/simulation/random.h"
#include "tests/simulation/redis.h"
#include "tests/simulation/schedule.h"
#include "tests/simulation/trace.h"
#include "tests/simulation/workload.h"

namespace fanfare::simulation {

// How likely things go wrong inside a worker; zero once the faults are over.
struct WorkerMishaps {
  double zygote_fails = 0;
  double zygote_hangs = 0;
  double fork_fails = 0;
};

struct World {
  World(std::uint64_t seed, Mutation planted, Tracing tracing)
      : mutation(planted),
        random(seed),
        trace(schedule, tracing),
        history(workload, schedule, trace),
        redis(schedule, random, history, trace, planted),
        network(schedule, random) {}

  const Mutation mutation;
  Schedule schedule;
  Random random;
  Trace trace;
  Workload workload;
  History history;
  Redis redis;
  Network network;

  WorkerMishaps mishaps;
  bool doubts = false;  // publishers' batches are large, and they are hasty
  bool publishing = true;
  std::int64_t instant_ms = 0;  // many events are due then, Unix ms
  std::function<void()> at_instant = [] {};
  // Events with an id or a key that were published lately: by anybody they may be published again.
  struct Named {
    Tag tag = 0;
    Workload::Made event;
  };
  std::vector<Named> named;

  // Which worker process is behind a broker's peer id, and whether that connection stands.
  struct WorkerPeer {
    WorkerLife life = 0;
    bool standing = false;
  };
  std::map<std::string, WorkerPeer> worker_peers;
  std::set<WorkerLife> living_workers;
  WorkerLife next_worker_life = 1;  // its process id, too
  BrokerLife next_broker_life = 1;
  std::map<DeliveryKey, std::uint32_t> poisoned;  // how often each has killed a worker
  TimePoint last_fault;  // the injected ones are over, or a function killed its worker
};

}  // namespace fanfare::simulation
