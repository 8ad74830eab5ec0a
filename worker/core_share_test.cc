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

TEST(WorkerShare, TenantsTakeTurnsAheadOfTheInstances) {
  Worker worker({.name = "w1", .slots = 1});
  worker.join();
  std::vector<protocol::Delivery> flood;
  for (std::uint64_t entry = 1; entry <= 40; ++entry) {
    flood.push_back(Worker::delivery(entry));
    flood.back().lane = protocol::lane_of(4, "flood");
  }
  worker.deliver(flood);
  auto other = Worker::delivery(100), another = Worker::delivery(101);
  other.lane = another.lane = protocol::lane_of(4, "other");
  worker.deliver({other, another});
  worker.deliver({Worker::delivery(200)});  // of no tenant
  std::vector<std::uint64_t> order;
  for (int i = 0; i < 8; ++i) {
    const InstanceId instance = worker.effects.forked.at(0);
    order.push_back(worker.effects.batches[instance].front().ids.front().entry.ms);
    worker.finish(instance, 1, 2ms);
  }
  EXPECT_EQ(order, (std::vector<std::uint64_t>{1, 2, 100, 200, 3, 101, 4, 5}));
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
