// What attempts use, as the worker tells Redis.
#include <gtest/gtest.h>

#include "protocol/row_writes.h"
#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

CoreOptions metering() {
  return {.name = "w1", .pid = 7, .pid_started = 99, .slots = 4, .usage_ttl = 24h * 90};
}

std::string event_of(const std::string& tenant) {
  protocol::Event event;
  event.source = "/s";
  event.type = "t";
  event.options.tenant = tenant;
  return protocol::pack(event);
}

struct Metered : Worker {
  Metered() : Worker(metering()) {
    join({function("f", "memory = \"512MiB\"\n"), function("g", "memory = \"128MiB\"\n")});
  }
  // One attempt of `function` for `tenant` that takes `took`; fails if asked to.
  void run(const std::string& name, const std::string& tenant, Duration took, bool fails = false) {
    auto d = delivery(++entry);
    d.packed_event = event_of(tenant);
    d.lane = protocol::lane_of(4, tenant);
    deliver({d}, name);
    for (auto& [id, given] : effects.batches) {
      if (given.empty() || given.front().ids.front() != d.id) continue;
      return finish(id, 1, took, [&](ItemResult& r) {
        r.peak_memory_kb = 1000;
        if (fails) r.outcome = protocol::Outcome::kFunctionError;
      });
    }
    FAIL() << "nobody runs it";
  }
  // Everything told so far, each call answered.
  std::map<std::pair<std::string, std::string>, store::Usage> told() {
    for (const auto& call : std::exchange(effects.metered, {})) {
      EXPECT_EQ(call.worker, "w1:7:99");
      EXPECT_EQ(call.sequence, ++sequence);
      for (const auto& row : call.rows) sums[{row.function, row.tenant}] += row.usage;
      core->on_meter_answer(now);
    }
    return sums;
  }
  std::uint64_t entry = 0, sequence = 0;
  std::map<std::pair<std::string, std::string>, store::Usage> sums;
};

TEST(WorkerMeter, AnAttemptWhoseRowsAreRefusedHasFailed) {
  Metered w;
  w.deliver({Worker::delivery(1)});
  std::string packed;
  protocol::append_write(packed, {protocol::RowWrite::Kind::kPut, "k", "v", 0});
  w.finish(w.effects.forked.at(0), 1, 1ms,
           [&](ItemResult& r) { r.asked.push_back({Asked::Kind::kWriteRows, packed}); });
  w.answer_commits(store::Verdict::kStoreFull);
  w.pass(1s);
  const store::Usage usage = w.told().at({"f", ""});
  EXPECT_EQ(usage.invocations, 1u);
  EXPECT_EQ(usage.failed, 1u);
}

TEST(WorkerMeter, SumsAreExactByFunctionAndTenant) {
  Metered w;
  w.run("f", "", 1500us);  // 2 ms billed
  w.run("f", "acme", 2ms);
  w.run("f", "acme", 2001us, true);  // 3 ms
  w.run("g", "", 10us);              // 1 ms
  EXPECT_TRUE(w.effects.metered.empty()) << "not before its second";
  w.pass(1s);
  const auto sums = w.told();
  ASSERT_EQ(sums.size(), 3u);
  EXPECT_EQ(sums.at({"f", ""}), (store::Usage{1, 0, 2, 2 * 512, 1000}));
  EXPECT_EQ(sums.at({"f", "acme"}), (store::Usage{2, 1, 5, 5 * 512, 1000}));
  EXPECT_EQ(sums.at({"g", ""}), (store::Usage{1, 0, 1, 128, 1000}));
  w.pass(5s);
  EXPECT_TRUE(w.effects.metered.empty()) << "nothing new, nothing said";
}

TEST(WorkerMeter, WhatWasCutOffHasBeenUsedToo) {
  Metered w;
  w.deliver_entries(1, 1);
  const InstanceId instance = w.effects.forked.at(0);
  w.core->on_instance_started(instance, 100, w.now);
  const auto& batch = w.effects.batches[instance].front();
  w.effects.now_running[instance] = {batch.number, 0, w.now.steady};
  w.receive(protocol::Cancel{{{"f", {{1, 0}, 0}, {0x1001}}}});
  w.die(instance, {.code = CLD_KILLED, .status = SIGKILL});
  w.pass(1s);
  const auto sums = w.told();
  EXPECT_EQ(sums.at({"f", ""}).invocations, 1u);
  EXPECT_EQ(sums.at({"f", ""}).failed, 1u);
  EXPECT_EQ(sums.at({"f", ""}).billed_ms, 1u);
}

TEST(WorkerMeter, WhatComesWhileACallIsUnderWayWaitsForItsSecond) {
  Metered w;
  w.run("f", "acme", 1ms);
  w.pass(1s);
  ASSERT_EQ(w.effects.metered.size(), 1u);
  w.run("f", "acme", 1ms);
  w.told();
  w.pass(10ms);
  EXPECT_TRUE(w.effects.metered.empty());
  w.pass(1s);
  EXPECT_EQ(w.effects.metered.size(), 1u);
}

TEST(WorkerMeter, AnAttemptIsBookedInTheHourInWhichItEnds) {
  Metered w;
  w.now.wall = wall_from_ms(3'600'000LL * 500'000 - 500);  // half a second before an hour
  w.run("f", "", 1ms);
  w.now.wall = wall_from_ms(3'600'000LL * 500'000 + 400);
  w.run("f", "", 1ms);
  w.pass(1s);
  ASSERT_EQ(w.effects.metered.size(), 1u);
  const auto& rows = w.effects.metered[0].rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].hour, 499'999);
  EXPECT_EQ(rows[1].hour, 500'000);
}

TEST(WorkerMeter, ACallThatGotNoAnswerGoesOutAgainTheSameAndTheRestWaits) {
  Metered w;
  w.run("f", "acme", 1ms);
  w.pass(1s);
  ASSERT_EQ(w.effects.metered.size(), 1u);
  const store::Meter first = w.effects.metered[0];
  w.core->on_meter_failed(reconnect("gone"), w.now);
  w.run("f", "acme", 1ms);
  w.pass(1s);
  ASSERT_EQ(w.effects.metered.size(), 2u);
  EXPECT_EQ(w.effects.metered[1].sequence, first.sequence);
  EXPECT_EQ(w.effects.metered[1].rows.at(0).usage, first.rows.at(0).usage);
  w.effects.metered.erase(w.effects.metered.begin());
  w.told();
  w.pass(1s);
  EXPECT_EQ((w.told().at({"f", "acme"}).invocations), 2u);
}

TEST(WorkerMeter, WhileRedisIsAwayItIsKeptBoundedAndToldLater) {
  Meter meter({.worker = "w", .ttl = 1h, .hour_rows_max = 1000});
  const store::Usage one{.invocations = 1};
  for (int i = 0; i < 20'000; ++i) meter.add(1, "f", "t" + std::to_string(i), one);
  std::uint64_t told = 0;
  std::size_t rows = 0;
  while (const store::Meter* call = meter.take({})) {
    EXPECT_LE(call->rows.size(), store::Meter::kRowsMax);
    rows += call->rows.size();
    for (const auto& row : call->rows) told += row.usage.invocations;
    meter.on_answer();
  }
  EXPECT_EQ(told, 20'000u) << "tenants that had no room are in the row of all others";
  EXPECT_EQ(rows, 4097u);
  EXPECT_EQ(meter.attempts_lost(), 0u);
}

TEST(WorkerMeter, WhatRedisRejectsIsGivenUpAndCounted) {
  Metered w;
  w.run("f", "", 1ms);
  w.pass(1s);
  w.core->on_meter_failed(reject("WRONGTYPE"), w.now);
  EXPECT_EQ(w.core->unmetered(), 1u);
  EXPECT_FALSE(w.effects.warnings.empty());
  w.effects.metered.clear();
  w.run("f", "", 1ms);
  w.pass(1s);
  EXPECT_EQ(w.effects.metered.size(), 1u) << "what follows is metered";
}

TEST(WorkerMeter, ALeavingWorkerTellsItsLastSecondFirst) {
  Metered w;
  w.run("f", "", 1ms);
  w.answer_commits();
  w.core->begin_drain(w.now);
  w.turn();
  w.done_rows();
  w.acknowledge();
  EXPECT_FALSE(w.core->finished());
  ASSERT_EQ(w.effects.metered.size(), 1u);
  w.told();
  w.turn();
  EXPECT_TRUE(w.core->finished());
}

TEST(WorkerMeter, SwitchedOffItCostsNothing) {
  Worker w;
  w.join();
  w.deliver_entries(1, 1);
  w.finish(w.effects.forked[0]);
  w.pass(5s);
  EXPECT_TRUE(w.effects.metered.empty());
}

}  // namespace
}  // namespace fanfare::worker
