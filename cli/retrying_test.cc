#include "cli/retrying.h"

#include <gtest/gtest.h>

namespace fanfare::cli {
namespace {

TEST(FormatRetrying, SaysHowTheLastAttemptEndedAndWhenTheNextOneBegins) {
  const WallTime now = wall_from_ms(1'000'000);
  protocol::AttemptRow last{.number = 2, .outcome = protocol::Outcome::kFunctionError};
  last.error_type = "NotYet";
  last.error_message = "later";
  Retrying retrying{{{1, 2}, 0}, "flaky", last, 1'001'800};
  EXPECT_EQ(format_retrying(retrying, now),
            "flaky: attempt 2 function_error (NotYet: later); attempt 3 in 1.8 s");
  retrying.due_ms = 999'000;
  EXPECT_EQ(format_retrying(retrying, now),
            "flaky: attempt 2 function_error (NotYet: later); attempt 3 runs or waits for a free "
            "instance");
}

TEST(FormatRetrying, KnowsADeliveryThatWasOnlyDelayed) {
  const Retrying delayed{{{1, 2}, 0}, "f", std::nullopt, 5'000};
  EXPECT_EQ(format_retrying(delayed, wall_from_ms(0)), "f: attempt 1 in 5.0 s");
}

TEST(Retrying, OnlyWhatCountsAgainstTheBudgetHasANumberOfItsOwn) {
  using protocol::Outcome;
  EXPECT_EQ(attempt_after({.number = 2, .outcome = Outcome::kTimeout}), 3u);
  EXPECT_EQ(attempt_after({.number = 2, .outcome = Outcome::kWorkerLost}), 2u);
  EXPECT_EQ(attempt_after({.number = 2, .outcome = Outcome::kThrottled}), 2u);
  EXPECT_EQ(attempt_after({.number = 0, .outcome = Outcome::kRedriven}), 1u);
}

}  // namespace
}  // namespace fanfare::cli
