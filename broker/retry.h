// What becomes of a delivery whose attempt failed: tried again later, or buried.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "base/time.h"
#include "protocol/manifest.h"
#include "protocol/record.h"

namespace fanfare::broker {

struct RetryAt {
  std::int64_t due_ms;
};
struct GiveUp {
  protocol::DeadReason reason;
};
using Verdict = std::variant<RetryAt, GiveUp>;

struct FailedDelivery {
  std::uint32_t attempts = 1;    // that count against the budget, the one that just failed included
  std::int64_t age_from_ms = 0;  // Unix ms, see pending.h
  std::int64_t now_ms = 0;
  bool retryable = true;
  bool result_too_large = false;
  std::optional<std::int64_t> retry_after_ms;  // the function's own choice; the profile's otherwise
};

// The longest pause before attempt `attempts + 1`, jitter apart. `standard`: min(cap, base ×
// 2^(n-1)) after n attempts. `lambda`: 1 min, then 2 min, as AWS Lambda documents for asynchronous
// invocation. `webhook`: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20, 24 h, as Standard Webhooks has it,
// in proportion to base.
Duration backoff_ceiling(const protocol::RetryPolicy& policy, std::uint32_t attempts);

// `jitter` in [0, 1) spreads `standard` over the whole range up to the ceiling (full jitter), so
// that what failed together does not return together. `lambda` keeps its fixed pauses. Ten attempts
// of `standard` span at most 1+2+4+…+256 s = 8.5 minutes, 4.3 on average. `webhook` adds up to a
// tenth to its pauses, and takes the function's own choice only if it is longer: a receiver that is
// away for hours, and asks for a minute each time, would have used up its attempts.
Verdict decide_retry(const protocol::RetryPolicy& policy, const FailedDelivery& failed,
                     double jitter);

}  // namespace fanfare::broker
