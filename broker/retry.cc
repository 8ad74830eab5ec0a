#include "broker/retry.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace fanfare::broker {
namespace {

// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, in
// units of its first pause, 5 s.
constexpr std::array<int, 9> kWebhookPauses{1, 60, 360, 1440, 3600, 7200, 10080, 14400, 17280};

double pause_of(const protocol::RetryPolicy& policy, std::uint32_t attempts, double jitter) {
  const double ceiling_ms = to_ms(backoff_ceiling(policy, attempts));
  if (policy.profile == "lambda") return ceiling_ms;
  if (policy.profile == "webhook") return ceiling_ms * (1 + jitter / 10);
  return ceiling_ms * jitter;
}

}  // namespace

Duration backoff_ceiling(const protocol::RetryPolicy& policy, std::uint32_t attempts) {
  if (policy.profile == "lambda") {
    return attempts <= 1 ? policy.base : std::min(policy.cap, 2 * policy.base);
  }
  if (policy.profile == "webhook") {
    const auto at = std::clamp<std::size_t>(attempts, 1, kWebhookPauses.size()) - 1;
    return std::min(policy.cap, kWebhookPauses[at] * policy.base);
  }
  const double factor = std::exp2(std::min<std::uint32_t>(attempts - 1, 62));
  const double ns = static_cast<double>(policy.base.count()) * factor;
  return ns >= static_cast<double>(policy.cap.count()) ? policy.cap
                                                       : Duration{static_cast<Duration::rep>(ns)};
}

Verdict decide_retry(const protocol::RetryPolicy& policy, const FailedDelivery& failed,
                     double jitter) {
  using protocol::DeadReason;
  if (!failed.retryable) {
    return GiveUp{failed.result_too_large ? DeadReason::kTooLarge : DeadReason::kNotRetryable};
  }
  if (failed.attempts >= policy.max_attempts) return GiveUp{DeadReason::kRetriesExhausted};

  const auto own_ms = static_cast<std::int64_t>(pause_of(policy, failed.attempts, jitter));
  const std::int64_t asked_ms = failed.retry_after_ms.value_or(own_ms);
  const std::int64_t due =
      failed.now_ms + (policy.profile == "webhook" ? std::max(own_ms, asked_ms) : asked_ms);

  // A retry that would start after the event's best-before date is no retry.
  const auto max_age_ms = static_cast<std::int64_t>(to_ms(policy.max_age));
  if (due - failed.age_from_ms > max_age_ms) return GiveUp{DeadReason::kRetriesExhausted};
  return RetryAt{due};
}

}  // namespace fanfare::broker
