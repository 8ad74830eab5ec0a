// Why a delivery is given up, and what its ledger keeps of attempts that were nobody's fault.
#include <gtest/gtest.h>

#include "broker/core.h"
#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using protocol::DeadReason;
using protocol::Outcome;

CoreHarness::Functions with_retry(const std::string& retry) {
  return {{"f", "[[on]]\npattern = '{\"type\":[\"t\"]}'\n[retry]\n" + retry}};
}

store::Bury::Item buried(CoreHarness& h) {
  return h.take_call<store::Bury>().second.items.at(0);
}

TEST(Reasons, TheLastOfItsAttemptsExhaustsIt) {
  CoreHarness h(with_retry("profile = \"none\"\n"));
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  auto row = h.failed_row(h.delivered().at(0), Outcome::kTimeout);
  row.log_tail = "last words\n";
  h.done(std::move(row));
  const auto item = buried(h);
  EXPECT_EQ(item.reason, DeadReason::kRetriesExhausted);
  const auto record = protocol::unpack_result(item.record);
  EXPECT_EQ(record->log_tail, "last words\n");
  EXPECT_EQ(protocol::unpack_ledger(record->ledger)->at(0).outcome, Outcome::kTimeout);
}

TEST(Reasons, AResultThatIsTooLargeIsNotTriedAgain) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  auto row = h.failed_row(h.delivered().at(0), Outcome::kFunctionError, /*retryable=*/false);
  row.failure.type = protocol::kResultTooLarge;
  h.done(std::move(row));
  EXPECT_EQ(buried(h).reason, DeadReason::kTooLarge);
}

TEST(Reasons, AnAttemptThatIsHandedBackLeavesARowAndCostsNothing) {
  CoreHarness h(with_retry("profile = \"none\"\n"));
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  h.done(h.failed_row(h.delivered().at(0), Outcome::kDrained));
  h.pass(200ms);
  const auto again = h.delivered();
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].attempt, 1u);
  const auto ledger = protocol::unpack_ledger(again[0].packed_ledger);
  ASSERT_EQ(ledger->size(), 1u);
  EXPECT_EQ(ledger->at(0).outcome, Outcome::kDrained);
  EXPECT_EQ(ledger->at(0).worker, "w");
}

}  // namespace
}  // namespace fanfare::broker
