#include "worker/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

using ::testing::HasSubstr;

std::string told(const Worker& worker) {
  MetricsText text;
  tell_core(text, *worker.core, [](InstanceId) { return std::uint64_t{5'000'000}; });
  return text.take();
}

TEST(WorkerMetrics, AttemptsAreToldByFunctionAndOutcome) {
  Worker worker;
  worker.join();
  worker.deliver_entries(1, 1);
  const InstanceId instance = worker.effects.forked.at(0);
  worker.core->on_instance_started(instance, 100, worker.now);
  worker.finish(instance, 1, 30ms);
  worker.deliver_entries(2, 2);
  worker.fail(instance);
  worker.deliver_entries(3, 3);
  worker.die(instance, {.code = CLD_KILLED, .status = SIGSEGV});
  const std::string text = told(worker);
  EXPECT_THAT(text, HasSubstr("attempts_total{function=\"f\",outcome=\"ok\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("attempts_total{function=\"f\",outcome=\"function_error\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("attempts_total{function=\"f\",outcome=\"crashed\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("attempts_total{function=\"f\",outcome=\"timeout\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("attempt_seconds_bucket{function=\"f\",le=\"0.0025\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("attempt_seconds_bucket{function=\"f\",le=\"0.05\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_worker_instances_ended_total{reason=\"crashed\"} 1\n"));
}

TEST(WorkerMetrics, ADeliveryThatFoundNoInstanceIsAColdStart) {
  Worker worker;
  worker.join();
  worker.deliver_entries(1, 1);
  const InstanceId instance = worker.effects.forked.at(0);
  worker.now.steady += 3ms;
  worker.core->on_instance_started(instance, 100, worker.now);
  worker.finish(instance);
  worker.deliver_entries(2, 2);
  worker.finish(instance);
  EXPECT_THAT(told(worker), HasSubstr("cold_start_seconds_count{function=\"f\"} 1\n"));
  EXPECT_THAT(told(worker), HasSubstr("cold_start_seconds_sum{function=\"f\"} 0.003\n"));
}

TEST(WorkerMetrics, ACommitIsMeasuredUntilRedisHasAnswered) {
  Worker worker;
  worker.join();
  worker.deliver_entries(1, 1);
  const InstanceId instance = worker.effects.forked.at(0);
  worker.core->on_instance_started(instance, 100, worker.now);
  worker.finish(instance);
  EXPECT_THAT(told(worker), HasSubstr("fanfare_worker_uncommitted_deliveries 1\n"));
  worker.pass(20ms);
  worker.answer_commits();
  const std::string text = told(worker);
  EXPECT_THAT(text, HasSubstr("fanfare_worker_uncommitted_deliveries 0\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_worker_commit_seconds_sum 0.02\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_worker_commit_deliveries_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_worker_commits_total{verdict=\"ok\"} 1\n"));
}

TEST(WorkerMetrics, InstancesHaveStatesAndMemory) {
  Worker worker;
  worker.join();
  worker.deliver_entries(1, 1);
  EXPECT_THAT(told(worker), HasSubstr("instances{function=\"f\",state=\"starting\"} 1\n"));
  const InstanceId instance = worker.effects.forked.at(0);
  worker.core->on_instance_started(instance, 100, worker.now);
  EXPECT_THAT(told(worker), HasSubstr("instances{function=\"f\",state=\"busy\"} 1\n"));
  worker.finish(instance);
  const std::string text = told(worker);
  EXPECT_THAT(text, HasSubstr("instances{function=\"f\",state=\"idle\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("instances_memory_bytes{function=\"f\"} 5000000\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_worker_slots 4\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_worker_slots_used 1\n"));
}

}  // namespace
}  // namespace fanfare::worker
