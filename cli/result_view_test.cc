#include "cli/result_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

protocol::ResultRecord ended_as(protocol::Status status, protocol::DeadReason reason) {
  protocol::ResultRecord record;
  record.status = status;
  record.reason = reason;
  record.accepted_ms = 1000;
  record.ended_ms = 3000;
  record.error_type = "Broken";
  record.error_message = "as asked";
  return record;
}
constexpr protocol::EventId kId{{5, 0}, 1};

TEST(FormatResult, NamesTheDeadLetterAndHowToSeeIt) {
  const auto record = ended_as(protocol::Status::kFailed, protocol::DeadReason::kRetriesExhausted);
  const std::string text = format_result("mail", record, false, kId);
  EXPECT_THAT(text, HasSubstr("mail failed in 2.0 s, 0 attempts"));
  EXPECT_THAT(text, HasSubstr("Broken: as asked"));
  EXPECT_THAT(text, HasSubstr("dead letter: retries_exhausted; see `fanfare dlq show mail 5-0.1`"));
}

TEST(FormatResult, TellsOfEachAttemptAndWhatTheyTook) {
  protocol::ResultRecord record;
  record.accepted_ms = 1000;
  record.ended_ms = 3000;
  record.memory_limit_mb = 512;
  record.log_tail = "a line of its log\n";
  protocol::append_row(record.ledger, {.outcome = protocol::Outcome::kFunctionError,
                                       .started_ms = 1200,
                                       .duration_us = 1500,
                                       .cold_start = true,
                                       .cold_start_us = 700,
                                       .worker = "west-1",
                                       .error_type = "Broken",
                                       .error_message = "as asked"});
  protocol::append_row(record.ledger, {.number = 2,
                                       .started_ms = 2000,
                                       .duration_us = 3000,
                                       .peak_memory_kb = 2048,
                                       .worker = "east-1",
                                       .instance = 4321});
  const std::string text = format_whole_result("mail", record, false, kId);
  EXPECT_THAT(text, HasSubstr("mail succeeded in 2.0 s, 2 attempts"));
  EXPECT_THAT(text, HasSubstr("a line of its log"));
  EXPECT_THAT(text, ::testing::ContainsRegex(
                        "1 .*1.5 ms +function_error +west-1 +0.7 ms +2 ms +Broken: as asked\n"));
  EXPECT_THAT(text, ::testing::ContainsRegex("2 .*3.0 ms +ok +east-1 +4321 +2.0 MiB +3 ms *\n"));
  EXPECT_THAT(text, HasSubstr("queued 200 ms, 2.0 s in all, billed 5 ms, 0.0025 GB-seconds"));
}

TEST(FormatResult, WhatAnOperatorHasEndedHasNoDeadLetter) {
  for (const auto reason : {protocol::DeadReason::kCancelled, protocol::DeadReason::kPurged}) {
    const auto record = ended_as(protocol::Status::kCancelled, reason);
    EXPECT_THAT(format_result("mail", record, false, kId), Not(HasSubstr("dead letter")));
  }
}

}  // namespace
}  // namespace fanfare::cli
