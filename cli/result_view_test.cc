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

TEST(FormatResult, WhatAnOperatorHasEndedHasNoDeadLetter) {
  for (const auto reason : {protocol::DeadReason::kCancelled, protocol::DeadReason::kPurged}) {
    const auto record = ended_as(protocol::Status::kCancelled, reason);
    EXPECT_THAT(format_result("mail", record, false, kId), Not(HasSubstr("dead letter")));
  }
}

}  // namespace
}  // namespace fanfare::cli
