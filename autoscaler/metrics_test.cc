#include "autoscaler/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::autoscaler {
namespace {

using ::testing::HasSubstr;

std::string told(const DecisionCounts& counts) {
  MetricsText text;
  counts.tell(text);
  return text.take();
}

TEST(AutoscalerMetrics, DecisionsAreCountedByDirectionAndReason) {
  DecisionCounts counts;
  counts.note({.desired = 4}, 2);
  counts.note({.desired = 4, .panicking = true}, 2);
  counts.note({.desired = 5, .panicking = true, .limit = Limit::kMost}, 5);
  counts.note({.desired = 1, .limit = Limit::kRate}, 2);
  const std::string text = told(counts);
  for (const char* line :
       {"{direction=\"up\",reason=\"demand\"} 1\n", "{direction=\"up\",reason=\"panic\"} 1\n",
        "{direction=\"none\",reason=\"most\"} 1\n", "{direction=\"down\",reason=\"rate\"} 1\n",
        "{direction=\"down\",reason=\"demand\"} 0\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(AutoscalerMetrics, SayHowLongAgoTheLastDecisionWas) {
  using namespace std::chrono_literals;
  Metrics metrics;
  metrics.decided = TimePoint{1h};
  MetricsText text;
  tell_scaling(text, metrics, {}, TimePoint{1h} + 1500ms);
  EXPECT_THAT(text.take(), HasSubstr("fanfare_autoscaler_decision_age_seconds 1.5\n"));
}

TEST(AutoscalerMetrics, TheScalerSaysWhatLimitsIt) {
  Scaler scaler({.min = 1, .max = 3});
  const TimePoint t0{};
  EXPECT_EQ(scaler.decide(t0, {.demand = 0, .ready = 1, .slots = 10}).limit, Limit::kLeast);
  const auto most =
      scaler.decide(t0 + std::chrono::seconds{2}, {.demand = 10'000, .ready = 1, .slots = 10});
  EXPECT_EQ(most.limit, Limit::kMost);
  EXPECT_EQ(most.desired, 3u);
}

}  // namespace
}  // namespace fanfare::autoscaler
