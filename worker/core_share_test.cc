// Slots are shared by weight, and tenants take turns.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

// A worker whose functions always have more to do than slots can take; time passes in steps of a
// millisecond, in which each living instance finishes what takes one.
class BusyWorker {
 public:
  using Weights = std::map<std::string, std::uint32_t>;
  BusyWorker(std::uint32_t slots, const Weights& weights)
      : worker_({.name = "w1", .slots = slots, .forks_per_second = 100'000}) {
    std::vector<protocol::FunctionSpec> specs;
    for (const auto& [name, weight] : weights) {
      specs.push_back(Worker::function(name, "weight = " + std::to_string(weight)));
    }
    worker_.join(specs);
    for (const auto& [name, weight] : weights) refill(name);
  }

  // What each function has finished after so long.
  std::map<std::string, double> run(Duration time) {
    std::map<std::string, double> finished;
    for (Duration passed{}; passed < time; passed += 1ms) {
      worker_.pass(1ms);
      bury_the_killed();
      for (const auto& [name, function] : worker_.core->functions()) {
        const std::vector<Instance*> instances = function->instances;
        std::vector<InstanceId> busy;
        for (const Instance* one : instances) {
          if (!one->idle()) busy.push_back(one->id);
        }
        for (const InstanceId id : busy) {
          auto& given = worker_.effects.batches[id];
          std::vector<ItemResult> results{
              Worker::result(given.front(), given.front().taken, worker_.now.steady - 1ms, 1ms)};
          if (++given.front().taken == given.front().ids.size()) given.pop_front();
          worker_.core->on_results(id, results, worker_.now);
          ++finished[name];
        }
        refill(name);
      }
      worker_.turn();
      worker_.answer_commits();
      worker_.acknowledge();
      EXPECT_LE(worker_.core->instances(), worker_.core->options().slots);
    }
    return finished;
  }

 private:
  void refill(const std::string& name) {
    const auto at = worker_.core->functions().find(name);
    if (at == worker_.core->functions().end() || at->second->queue.size() > 10) return;
    worker_.deliver_entries(next_, next_ + 50, name);
    next_ += 51;
  }
  void bury_the_killed() {
    for (const auto& [id, signal] : std::exchange(worker_.effects.kills, {})) {
      worker_.die(id, {.code = CLD_KILLED, .status = signal}, false);
    }
  }

  Worker worker_;
  std::uint64_t next_ = 1;
};

TEST(WorkerShare, SlotsAreSharedByWeight) {
  for (const std::uint32_t slots : {1u, 2u, 4u, 8u}) {
    BusyWorker worker(slots, {{"light", 1}, {"heavy", 3}});
    worker.run(500ms);
    auto finished = worker.run(4s);
    EXPECT_NEAR(finished["heavy"] / finished["light"], 3.0, 0.45) << slots << " slots";
    EXPECT_GT(finished["heavy"] + finished["light"], 0.5 * 4000 * slots) << slots << " slots";
  }
}

TEST(WorkerShare, OfEqualWeightsNobodyGetsMore) {
  BusyWorker worker(2, {{"a", 7}, {"b", 7}, {"c", 7}});
  worker.run(500ms);
  auto finished = worker.run(6s);
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_NEAR(finished[name] / (finished["a"] + finished["b"] + finished["c"]), 1.0 / 3, 0.05)
        << name;
  }
}

TEST(WorkerShare, WhoeverIsAloneHasEverything) {
  BusyWorker worker(4, {{"alone", 1}});
  EXPECT_GT(worker.run(1s)["alone"], 3900);
}

TEST(WorkerShare, SettlesWithoutEndingInstancesForEver) {
  Worker worker({.name = "w1", .slots = 4});
  worker.join({Worker::function("f"), Worker::function("g")});
  worker.deliver_entries(1, 500, "f");
  worker.deliver_entries(1001, 1500, "g");
  std::size_t killed = 0;
  for (int ms = 0; ms < 1000; ++ms) {
    worker.pass(1ms);
    for (const auto& [id, signal] : std::exchange(worker.effects.kills, {})) {
      worker.die(id, {.code = CLD_KILLED, .status = signal}, false);
      ++killed;
    }
    if (ms % 10 != 0) continue;
    for (const auto& [name, function] : worker.core->functions()) {
      const std::vector<Instance*> instances = function->instances;
      for (const Instance* one : instances) {
        if (!one->idle()) worker.finish(one->id, 1, 0ms);
      }
    }
  }
  EXPECT_EQ(worker.core->functions().find("f")->second->instances.size(), 2u);
  EXPECT_EQ(worker.core->functions().find("g")->second->instances.size(), 2u);
  EXPECT_LE(killed, 4u);
}

// Two quick functions and one slot: each change of hands costs a fork, here of 300 us.
class OneSlot {
 public:
  OneSlot() : worker_({.name = "w1", .slots = 1, .batch_work = 100us}) {
    worker_.join({Worker::function("f"), Worker::function("g")});
    worker_.deliver_entries(1, 2000, "f");
    worker_.core->on_instance_started(holder(), 100, worker_.now);
    for (int i = 0; i < 20; ++i) worker_.finish(holder(), 1, 100us);  // it is known to be quick
  }
  InstanceId holder() { return worker_.effects.forked.back(); }
  // How long the instance there goes on with more and more of its own, until it is told to leave.
  Duration stays_for(Duration at_most) {
    const TimePoint from = worker_.now.steady;
    while (worker_.effects.kills.empty() && worker_.now.steady - from < at_most) {
      worker_.finish(holder(), 1, 100us);
    }
    return worker_.now.steady - from;
  }
  // It leaves, and the other function's comes.
  void next() {
    worker_.effects.kills.clear();
    worker_.die(holder(), {.code = CLD_KILLED, .status = SIGTERM}, false);
    worker_.core->on_instance_started(holder(), 101, worker_.now);
  }
  Worker& worker() { return worker_; }

 private:
  Worker worker_;
};

TEST(WorkerShare, WhoeverHasTheOnlySlotKeepsItForAsLongAsAFewStartsTake) {
  OneSlot one;
  one.worker().deliver_entries(5001, 7000, "g");
  Duration passed{};
  int changes = 0;
  for (; passed < 50ms; ++changes) {
    passed += one.stays_for(50ms);
    one.next();
  }
  EXPECT_GE(changes, 4);   // nobody waits for longer than the time of a turn
  EXPECT_LE(changes, 42);  // 1.2 ms
}

TEST(WorkerShare, WhoeverHasNothingMoreToDoGivesItsSlotUpAtOnce) {
  OneSlot one;
  one.worker().deliver_entries(5001, 5003, "g");
  one.stays_for(100ms);
  one.next();
  EXPECT_LE(one.stays_for(100ms), 500us);  // three deliveries
}

// Two slots: one function's instance is at work for as long as the test takes, the other slot is
// for what is quick.
struct BesideALongOne {
  BesideALongOne() : worker({.name = "w1", .slots = 2}) {
    worker.join({Worker::function("f"), Worker::function("g"), Worker::function("long")});
    worker.deliver_entries(1, 2, "f");
    start();
    worker.finish(worker.effects.forked.back(), 1, 100us);
    worker.finish(worker.effects.forked.back(), 1, 100us);
    worker.pass(1h);  // it was idle for long, and went
    bury();
    worker.deliver_entries(100, 100, "long");
    start();
    long_one = worker.effects.forked.back();
    worker.pass(50ms);  // it has had its turn
  }
  void start() { worker.core->on_instance_started(worker.effects.forked.back(), 100, worker.now); }
  void bury() {
    for (const auto& [id, signal] : std::exchange(worker.effects.kills, {})) {
      worker.die(id, {.code = CLD_KILLED, .status = signal}, false);
    }
  }
  std::size_t instances_of(const char* name) {
    return worker.core->functions().find(name)->second->instances.size();
  }
  Worker worker;
  InstanceId long_one;
};

TEST(WorkerShare, NobodyWaitsForWhatTakesLongWhileSomebodyQuickIsIdle) {
  BesideALongOne beside;
  Worker& worker = beside.worker;
  worker.deliver_entries(10, 10, "f");
  beside.start();
  const InstanceId quick = worker.effects.forked.back();
  worker.deliver_entries(200, 200, "g");  // within the turn of f's
  worker.finish(quick, 1, 100us);
  beside.bury();
  EXPECT_EQ(beside.instances_of("g"), 1u);
  EXPECT_EQ(beside.instances_of("long"), 1u);
}

TEST(WorkerShare, NobodyWaitsForWhatTakesLongWhileSomebodyQuickHasItsTurn) {
  BesideALongOne beside;
  Worker& worker = beside.worker;
  worker.deliver_entries(10, 60, "f");
  beside.start();
  const InstanceId quick = worker.effects.forked.back();
  worker.deliver_entries(200, 200, "g");
  for (int i = 0; i < 51 && beside.instances_of("g") == 0; ++i) {
    worker.finish(quick, 1, 100us);
    beside.bury();
  }
  EXPECT_EQ(beside.instances_of("g"), 1u);
  EXPECT_EQ(beside.instances_of("long"), 1u);
}

TEST(WorkerShare, AFunctionWhoseInstancesEndSoonDoesNotKeepTheOnlySlot) {
  Worker worker({.name = "w1", .slots = 1});
  worker.join({Worker::function("f"), Worker::function("g")});
  worker.deliver_entries(1, 100, "f");
  for (int deaths = 0; deaths < 3; ++deaths) {
    if (deaths == 2) worker.deliver_entries(200, 200, "g");
    worker.now.steady += 100us;
    worker.die(worker.effects.forked.back());
  }
  EXPECT_EQ(worker.core->functions().find("g")->second->instances.size(), 1u);
}

TEST(WorkerShare, WhatAFunctionHasUsedLongAgoIsNotHeldAgainstIt) {
  Worker worker({.name = "w1", .slots = 1});
  worker.join({Worker::function("f"), Worker::function("g")});
  worker.deliver_entries(1, 1, "g");
  worker.finish(worker.effects.forked.back(), 1, 1ms, [](ItemResult& r) { r.duration = 1h; });
  worker.deliver_entries(10, 2000, "f");
  const auto bury = [&] {
    for (const auto& [id, signal] : std::exchange(worker.effects.kills, {})) {
      worker.die(id, {.code = CLD_KILLED, .status = signal}, false);
    }
  };
  bury();
  for (int i = 0; i < 30; ++i) worker.finish(worker.effects.forked.back(), 1, 1ms);
  worker.deliver_entries(3000, 3000, "g");
  const auto& g = *worker.core->functions().find("g")->second;
  for (int i = 0; i < 60 && g.instances.empty(); ++i) {
    worker.finish(worker.effects.forked.back(), 1, 1ms);
    bury();
  }
  EXPECT_EQ(g.instances.size(), 1u);
}

// All tenants here share a lane, as one in sixteen does.
protocol::Delivery of_tenant(const std::string& tenant, std::uint64_t entry) {
  auto delivery = Worker::delivery(entry);
  protocol::Event event;
  event.source = "/tests";
  event.type = "t";
  event.options.tenant = tenant;
  delivery.packed_event = protocol::pack(event);
  delivery.lane = protocol::lane_of(4, "one");
  return delivery;
}

std::uint64_t run_next(Worker& worker) {
  const InstanceId instance = worker.effects.forked.at(0);
  const std::uint64_t entry = worker.effects.batches[instance].front().ids.front().entry.ms;
  worker.finish(instance, 1, 2ms);
  return entry;
}

void flood(Worker& worker, std::uint64_t entries) {
  std::vector<protocol::Delivery> flood;
  for (std::uint64_t entry = 1; entry <= entries; ++entry) {
    flood.push_back(of_tenant("flood", entry));
  }
  worker.deliver(flood);
}

TEST(WorkerShare, TenantsTakeTurnsAheadOfTheInstances) {
  Worker worker({.name = "w1", .slots = 1});
  worker.join();
  flood(worker, 40);
  EXPECT_EQ(run_next(worker), 1u);  // 2 is with the instance now
  worker.deliver({of_tenant("other", 100), of_tenant("other", 101)});
  worker.deliver({Worker::delivery(200)});  // of no tenant
  std::vector<std::uint64_t> order(7);
  for (std::uint64_t& entry : order) entry = run_next(worker);
  EXPECT_EQ(order, (std::vector<std::uint64_t>{2, 100, 200, 3, 101, 4, 5}));
}

TEST(WorkerShare, ATenantThatComesAnewEachTimeGetsNoMoreThanItsTurns) {
  Worker worker({.name = "w1", .slots = 1});
  worker.join();
  flood(worker, 400);
  int of_other = 0;
  bool waits = false;
  for (std::uint64_t entry = 1000; entry < 1200; ++entry) {
    if (!std::exchange(waits, true)) worker.deliver({of_tenant("other", entry)});
    if (run_next(worker) < 1000) continue;
    ++of_other;
    waits = false;
  }
  EXPECT_NEAR(of_other, 100, 2);
}

TEST(WorkerShare, TenantsThatAreGoneAreForgotten) {
  Worker worker({.name = "w1", .slots = 1});
  worker.join();
  for (std::uint64_t entry = 1; entry <= 2000; ++entry) {
    worker.deliver({of_tenant("tenant " + std::to_string(entry), entry)});
    if (entry > 10) run_next(worker);
  }
  EXPECT_LT(worker.core->functions().find("f")->second->turns.size(), 200u);
}

TEST(WorkerShare, WithoutTenantsFirstInIsFirstOut) {
  Worker worker({.name = "w1", .slots = 1});
  worker.join();
  worker.deliver_entries(1, 5);
  worker.deliver_entries(6, 9);
  for (std::uint64_t entry = 1; entry <= 9; ++entry) {
    const InstanceId instance = worker.effects.forked.at(0);
    EXPECT_EQ(worker.effects.batches[instance].front().ids.front().entry.ms, entry);
    worker.finish(instance, 1, 2ms);
  }
}

}  // namespace
}  // namespace fanfare::worker
