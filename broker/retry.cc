#include "broker/retry.h"

#include <algorithm>
#include <cmath>

namespace fanfare::broker {

Duration backoff_ceiling(const protocol::RetryPolicy& policy, std::uint32_t attempts) {
  if (policy.profile == "lambda") {
    return attempts <= 1 ? policy.base : std::min(policy.cap, 2 * policy.base);
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

  const double ceiling_ms = to_ms(backoff_ceiling(policy, failed.attempts));
  const double pause_ms = policy.profile == "lambda" ? ceiling_ms : ceiling_ms * jitter;
  const std::int64_t due =
      failed.now_ms + failed.retry_after_ms.value_or(static_cast<std::int64_t>(pause_ms));

  // A retry that would start after the event's best-before date is no retry.
  const auto max_age_ms = static_cast<std::int64_t>(to_ms(policy.max_age));
  if (due - failed.age_from_ms > max_age_ms) return GiveUp{DeadReason::kRetriesExhausted};
  return RetryAt{due};
}

}  // namespace fanfare::broker
