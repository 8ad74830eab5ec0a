#include "broker/retry.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::DeadReason;
using protocol::RetryPolicy;

FailedDelivery after(std::uint32_t attempts) {
  return {.attempts = attempts, .age_from_ms = 1'000'000, .now_ms = 1'060'000};
}

TEST(Retry, StandardBackoffDoublesFromOneSecondUpToFiveMinutes) {
  const RetryPolicy standard;
  EXPECT_EQ(backoff_ceiling(standard, 1), 1s);
  EXPECT_EQ(backoff_ceiling(standard, 2), 2s);
  EXPECT_EQ(backoff_ceiling(standard, 9), 256s);
  EXPECT_EQ(backoff_ceiling(standard, 10), 5min);
  EXPECT_EQ(backoff_ceiling(standard, 4'000'000'000u), 5min);
}

TEST(Retry, JitterSpreadsOverTheWholeRange) {
  const auto low = decide_retry({}, after(3), 0.0);
  const auto high = decide_retry({}, after(3), 0.999);
  EXPECT_EQ(std::get<RetryAt>(low).due_ms, 1'060'000);
  EXPECT_EQ(std::get<RetryAt>(high).due_ms, 1'060'000 + 3996);
}

TEST(Retry, LambdaProfileWaitsOneMinuteThenTwo) {
  const RetryPolicy lambda{
      .profile = "lambda", .max_attempts = 3, .base = 1min, .cap = 2min, .max_age = 6h};
  EXPECT_EQ(std::get<RetryAt>(decide_retry(lambda, after(1), 0.1)).due_ms, 1'060'000 + 60'000);
  EXPECT_EQ(std::get<RetryAt>(decide_retry(lambda, after(2), 0.1)).due_ms, 1'060'000 + 120'000);
  EXPECT_EQ(std::get<GiveUp>(decide_retry(lambda, after(3), 0.1)).reason,
            DeadReason::kRetriesExhausted);
}

TEST(Retry, WebhookProfileKeepsToTheStandardsSchedule) {
  const RetryPolicy webhook{
      .profile = "webhook", .max_attempts = 10, .base = 5s, .cap = 24h, .max_age = 96h};
  const Duration pauses[] = {5s, 5min, 30min, 2h, 5h, 10h, 14h, 20h, 24h};
  std::uint32_t attempts = 0;
  for (const Duration pause : pauses) EXPECT_EQ(backoff_ceiling(webhook, ++attempts), pause);
  EXPECT_EQ(backoff_ceiling(webhook, 100), 24h);
  EXPECT_EQ(std::get<RetryAt>(decide_retry(webhook, after(1), 0.0)).due_ms, 1'060'000 + 5'000);
  EXPECT_EQ(std::get<RetryAt>(decide_retry(webhook, after(1), 0.5)).due_ms, 1'060'000 + 5'250);
  EXPECT_EQ(std::get<GiveUp>(decide_retry(webhook, after(10), 0.5)).reason,
            DeadReason::kRetriesExhausted);
  RetryPolicy quick = webhook;
  quick.base = 10ms;
  quick.cap = 1s;
  EXPECT_EQ(backoff_ceiling(quick, 2), 600ms);
  EXPECT_EQ(backoff_ceiling(quick, 3), 1s);
}

TEST(Retry, AWebhookIsNeverAskedSoonerThanItWantsNorThanItsSchedule) {
  const RetryPolicy webhook{
      .profile = "webhook", .max_attempts = 10, .base = 5s, .cap = 24h, .max_age = 96h};
  auto failed = after(1);
  failed.retry_after_ms = 60'000;
  EXPECT_EQ(std::get<RetryAt>(decide_retry(webhook, failed, 0.5)).due_ms, 1'060'000 + 60'000);
  failed.attempts = 2;
  EXPECT_EQ(std::get<RetryAt>(decide_retry(webhook, failed, 0.0)).due_ms, 1'060'000 + 300'000);
}

TEST(Retry, AFailureThatSaysItIsFinalIsNotTriedAgain) {
  auto failed = after(1);
  failed.retryable = false;
  EXPECT_EQ(std::get<GiveUp>(decide_retry({}, failed, 0.5)).reason, DeadReason::kNotRetryable);
}

TEST(Retry, AResultThatIsTooLargeIsGivenUpAsSuch) {
  auto failed = after(1);
  failed.retryable = false;
  failed.result_too_large = true;
  EXPECT_EQ(std::get<GiveUp>(decide_retry({}, failed, 0.5)).reason, DeadReason::kTooLarge);
}

TEST(Retry, TheFunctionsOwnPauseWins) {
  auto failed = after(1);
  failed.retry_after_ms = 7'000;
  EXPECT_EQ(std::get<RetryAt>(decide_retry({}, failed, 0.5)).due_ms, 1'067'000);
}

TEST(Retry, NothingIsTriedAfterItsMaximumAge) {
  auto failed = after(2);
  failed.now_ms = failed.age_from_ms + 24 * 3600 * 1000;
  failed.retry_after_ms = 1;
  EXPECT_TRUE(std::holds_alternative<GiveUp>(decide_retry({}, failed, 0.0)));
}

}  // namespace
}  // namespace fanfare::broker
