// What failed together does not come back together: `standard`, for deliveries that fail always.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "broker/retry.h"

namespace fanfare::broker {
namespace {

constexpr std::int64_t kFirstFailedMs = 1'700'000'000'000;

struct Crowd {
  std::map<std::int64_t, std::size_t> per_second;  // retries due, by second since the start
  std::size_t retries = 0, given_up = 0;
  std::int64_t last_ms = 0;
};

// `deliveries` fail at the same instant, and each again whenever it is tried.
Crowd fail_all(const protocol::RetryPolicy& policy, std::size_t deliveries, bool jitter) {
  std::mt19937_64 random(7);
  std::uniform_real_distribution<double> dice(0, 1);
  Crowd crowd;
  for (std::size_t i = 0; i < deliveries; ++i) {
    std::int64_t now_ms = kFirstFailedMs;
    for (std::uint32_t attempts = 1;; ++attempts) {
      const auto verdict = decide_retry(policy,
                                        {.attempts = attempts,
                                         .age_from_ms = kFirstFailedMs,
                                         .now_ms = now_ms,
                                         .retryable = true},
                                        jitter ? dice(random) : 1.0);
      const auto* retry = std::get_if<RetryAt>(&verdict);
      if (!retry) break;
      now_ms = retry->due_ms;
      ++crowd.retries;
      ++crowd.per_second[(now_ms - kFirstFailedMs) / 1000];
      crowd.last_ms = std::max(crowd.last_ms, now_ms - kFirstFailedMs);
    }
    ++crowd.given_up;
  }
  return crowd;
}

std::size_t peak_after(const Crowd& crowd, std::int64_t second) {
  std::size_t peak = 0;
  for (const auto& [at, count] : crowd.per_second) {
    if (at >= second) peak = std::max(peak, count);
  }
  return peak;
}

TEST(RetrySpread, StandardTurnsAHerdIntoATrickle) {
  constexpr std::size_t kDeliveries = 10'000;
  const Crowd crowd = fail_all({}, kDeliveries, /*jitter=*/true);
  EXPECT_EQ(crowd.given_up, kDeliveries);
  EXPECT_EQ(crowd.retries, 9 * kDeliveries) << "ten attempts each";
  EXPECT_LE(crowd.last_ms, 511'000) << "1+2+4+…+256 s";
  // The first pause is up to a second: nobody is later. From then on they thin out.
  EXPECT_LT(peak_after(crowd, 2), kDeliveries * 8 / 10);
  EXPECT_LT(peak_after(crowd, 10), kDeliveries / 4);
  EXPECT_LT(peak_after(crowd, 30), kDeliveries / 10);
  EXPECT_LT(peak_after(crowd, 120), kDeliveries / 30);
  RecordProperty("peak_per_second_after_30s", static_cast<int>(peak_after(crowd, 30)));
  fmt::print("peaks per second of {}: from 2 s {}, 10 s {}, 30 s {}, 120 s {}\n", kDeliveries,
             peak_after(crowd, 2), peak_after(crowd, 10), peak_after(crowd, 30),
             peak_after(crowd, 120));
}

// The control: without jitter all come back at the same instants, to the last.
TEST(RetrySpread, WithoutJitterTheHerdStaysTogether) {
  const Crowd herd = fail_all({}, 1000, /*jitter=*/false);
  EXPECT_EQ(herd.per_second.size(), 9u);
  EXPECT_EQ(peak_after(herd, 120), 1000u);
}

TEST(RetrySpread, NoneGivesUpAtOnceAndOverridesReplaceOneByOne) {
  protocol::RetryPolicy none;
  none.profile = "none";
  none.max_attempts = 1;
  EXPECT_EQ(fail_all(none, 10, true).retries, 0u);
  protocol::RetryPolicy quick;
  quick.base = std::chrono::milliseconds{10};
  quick.cap = std::chrono::milliseconds{40};
  quick.max_attempts = 5;
  const Crowd crowd = fail_all(quick, 1000, true);
  EXPECT_EQ(crowd.retries, 4000u);
  EXPECT_LE(crowd.last_ms, 10 + 20 + 40 + 40);
}

}  // namespace
}  // namespace fanfare::broker
