#include "broker/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class BrokerMetrics : public ::testing::Test {
 protected:
  std::string told() const { return metrics_text(world.core, world.now); }
  void publish_later(std::uint64_t sequence, std::size_t events) {
    world.publish(sequence, std::vector<std::string>(events, CoreHarness::event()));
  }
  CoreHarness world;
};

TEST_F(BrokerMetrics, AnEventIsMeasuredFromItsArrivalUntilItIsAnswered) {
  publish_later(1, 3);
  world.pass(40ms);  // Redis takes so long
  world.answer_all();
  const std::string text = told();
  EXPECT_THAT(text, HasSubstr("fanfare_publish_seconds_bucket{le=\"0.025\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_publish_seconds_bucket{le=\"0.05\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_journal_write_seconds_bucket{le=\"0.05\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_journal_chunk_events_sum 3\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_deliveries_created_total{function=\"f\"} 3\n"));
}

TEST_F(BrokerMetrics, WhatWaitsHasADepthAndAnAge) {
  publish_later(1, 2);
  world.answer_all();
  world.pass(90s);
  EXPECT_THAT(told(), HasSubstr("fanfare_queue_depth{function=\"f\",state=\"ready\"} 2\n"
                                "fanfare_queue_depth{function=\"f\",state=\"blocked\"} 0\n"
                                "fanfare_queue_depth{function=\"f\",state=\"running\"} 0\n"));
  EXPECT_THAT(told(), HasSubstr("fanfare_queue_oldest_age_seconds{function=\"f\"} 90\n"));
  world.join(1);
  EXPECT_THAT(told(), HasSubstr("fanfare_queue_depth{function=\"f\",state=\"ready\"} 1\n"));
  EXPECT_THAT(told(), HasSubstr("fanfare_queue_depth{function=\"f\",state=\"running\"} 1\n"));
  world.credit(2);
  EXPECT_THAT(told(), HasSubstr("fanfare_queue_oldest_age_seconds{function=\"f\"} 0\n"));
  EXPECT_THAT(told(), HasSubstr("fanfare_workers{state=\"running\"} 1\n"));
  EXPECT_THAT(told(), HasSubstr("fanfare_slots 4\n"));
}

TEST_F(BrokerMetrics, AnOrderedDeliveryBehindAnotherIsBlockedAndNotReady) {
  protocol::PublishOptions options;
  options.ordering_key = "k";
  world.publish(1, {CoreHarness::event(options), CoreHarness::event(options)});
  world.answer_all();
  world.pass(31s);  // who has which key is known
  EXPECT_THAT(told(), HasSubstr("state=\"ready\"} 1\n"));
  EXPECT_THAT(told(), HasSubstr("state=\"blocked\"} 1\n"));
}

TEST_F(BrokerMetrics, TimeInTheQueueIsThatOfEachTimeItIsLent) {
  publish_later(1, 2);
  world.answer_all();
  world.pass(3s);
  publish_later(2, 1);
  world.answer_all();
  world.join();
  const std::string text = told();
  EXPECT_THAT(text, HasSubstr("queue_time_seconds_bucket{function=\"f\",le=\"2.5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("queue_time_seconds_bucket{function=\"f\",le=\"5\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("queue_time_seconds_sum{function=\"f\"} 6\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_deliveries_dispatched_total{function=\"f\"} 3\n"));
}

// One that is retried has waited since its retry was due, and not since it was accepted.
TEST_F(BrokerMetrics, ARetryWaitsFromWhenItIsDue) {
  world.join();
  publish_later(1, 1);
  world.answer_all();
  const auto delivery = world.delivered().at(0);
  world.done(world.failed_row(delivery));
  const auto [ticket, postpone] = world.take_call<store::Postpone>();
  world.answer(ticket, store::Moved{{store::Verdict::kOk}});
  const std::int64_t due_ms = postpone.items.at(0).due_ms;
  world.pass(std::chrono::milliseconds{due_ms - to_ms(world.now.wall)} + 7ms);
  const auto [due_ticket, due] = world.take_call<store::Due>();
  store::DueRows rows;
  rows.rows.push_back({.id = delivery.id,
                       .due_ms = due_ms,
                       .attempts = 1,
                       .accepted_ms = delivery.accepted_ms,
                       .packed_ledger = postpone.items.at(0).packed_ledger,
                       .packed_event = postpone.items.at(0).packed_event,
                       .token = delivery.token});
  world.answer(due_ticket, rows);
  const std::string text = told();
  EXPECT_THAT(text, HasSubstr("queue_time_seconds_count{function=\"f\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("queue_time_seconds_sum{function=\"f\"} 0.007\n"));
  EXPECT_THAT(text, HasSubstr("fanfare_deliveries_retried_total{function=\"f\"} 1\n"));
}

TEST_F(BrokerMetrics, EndingsAreToldByFunction) {
  world.join();
  publish_later(1, 2);
  world.answer_all();
  const auto deliveries = world.delivered();
  world.done(world.ok_row(deliveries.at(0)));
  world.done(world.failed_row(deliveries.at(1), protocol::Outcome::kFunctionError, false));
  world.answer_all();
  EXPECT_THAT(told(),
              HasSubstr("ended_total{function=\"f\",status=\"succeeded\"} 1\n"
                        "fanfare_deliveries_ended_total{function=\"f\",status=\"dead\"} 1\n"));
  EXPECT_THAT(told(), HasSubstr("fanfare_dead_deliveries{function=\"f\"} 1\n"));
}

TEST_F(BrokerMetrics, TenantsAreNoLabels) {
  protocol::PublishOptions options;
  options.tenant = "acme-of-this-test";
  world.publish(1, {CoreHarness::event(options)});
  world.answer_all();
  EXPECT_THAT(told(), Not(HasSubstr("acme-of-this-test")));
  EXPECT_THAT(told(), HasSubstr("fanfare_deliveries_created_total{function=\"f\"} 1\n"));
}

}  // namespace
}  // namespace fanfare::broker
