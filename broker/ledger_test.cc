#include "broker/ledger.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using protocol::Outcome;

std::string ledger_of(const std::vector<Outcome>& outcomes) {
  std::string ledger;
  for (const Outcome outcome : outcomes) {
    if (outcome == Outcome::kRedriven) {
      mark_redriven(ledger, 5000);
      continue;
    }
    protocol::append_row(
        ledger,
        {.number = 1, .outcome = outcome, .worker = "w", .error_type = "E", .error_message = "m"});
  }
  return ledger;
}

TEST(Ledger, LossesCountSinceTheLatestRedrive) {
  EXPECT_EQ(history_of("").worker_losses, 0);
  EXPECT_FALSE(history_of("").redriven);
  const auto lost =
      history_of(ledger_of({Outcome::kWorkerLost, Outcome::kTimeout, Outcome::kWorkerLost}));
  EXPECT_EQ(lost.worker_losses, 2);
  const auto redriven =
      history_of(ledger_of({Outcome::kWorkerLost, Outcome::kRedriven, Outcome::kWorkerLost}));
  EXPECT_EQ(redriven.worker_losses, 1);
  EXPECT_TRUE(redriven.redriven);
}

TEST(Ledger, TheMarkSaysWhen) {
  const auto rows = protocol::unpack_ledger(ledger_of({Outcome::kTimeout, Outcome::kRedriven}));
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ(rows->at(1).outcome, Outcome::kRedriven);
  EXPECT_EQ(rows->at(1).started_ms, 5000);
  EXPECT_EQ(rows->at(1).number, 0u);
  EXPECT_EQ(protocol::count_attempts(*rows), 1u);
}

TEST(Ledger, AnEndlesslyRedrivenLetterDoesNotGrowForEver) {
  std::string ledger;
  for (int i = 0; i < 5000; ++i) {
    protocol::append_row(ledger, {.number = 1, .error_message = std::string(50, 'x')});
    mark_redriven(ledger, i);
    ASSERT_LE(ledger.size(), 66'000u);
  }
  const auto rows = protocol::unpack_ledger(ledger);
  ASSERT_TRUE(rows);
  EXPECT_GE(rows->size(), 32u);
  EXPECT_EQ(rows->back().started_ms, 4999);
}

TEST(Ledger, KeepsTheFirstOfManyAttemptsThatWereHandedBack) {
  std::string ledger = ledger_of({Outcome::kTimeout});
  for (std::uint32_t i = 1; i <= 100; ++i) {
    note_unhurt(ledger, {.number = i, .outcome = Outcome::kDrained});
  }
  const auto rows = protocol::unpack_ledger(ledger);
  ASSERT_EQ(rows->size(), 17u);
  EXPECT_EQ(rows->back().number, 16u);
}

TEST(Ledger, AnExpiryNamesTheLastFailureSinceTheRedrive) {
  EXPECT_EQ(expiry_message(ledger_of({Outcome::kTimeout, Outcome::kWorkerLost})),
            "not done before its expiry; attempt 1 failed with E: m");
  EXPECT_EQ(expiry_message(ledger_of({Outcome::kTimeout, Outcome::kRedriven})),
            "not started before its expiry");
  EXPECT_EQ(expiry_message(""), "not started before its expiry");
}

}  // namespace
}  // namespace fanfare::broker
