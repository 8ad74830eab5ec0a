#include "worker/log_lines.h"

#include <gtest/gtest.h>

namespace fanfare::worker {
namespace {

protocol::AttemptRow some_row() {
  protocol::AttemptRow row;
  row.number = 1;
  row.duration_us = 1230;
  row.cold_start = true;
  row.cold_start_us = 500;
  row.peak_memory_kb = 25'700;
  return row;
}

TEST(LogLines, AReportSpeaksLikeLambdas) {
  const auto row = some_row();
  const AttemptReport report{"resize", {{1795, 0}, 3}, row, 256};
  EXPECT_EQ(report_line(report),
            "REPORT event=1795-0.3 function=resize attempt=1 outcome=ok duration_ms=1.23 "
            "billed_ms=2 memory_mb=256 max_memory_mb=26 cold_start=yes init_ms=0.50");
  EXPECT_EQ(report_fields(report),
            R"("kind":"report","event":"1795-0.3","function":"resize","attempt":1,"outcome":"ok",)"
            R"("duration_ms":1.230,"billed_ms":2,"memory_mb":256,"max_memory_mb":26,)"
            R"("cold_start":true,"init_ms":0.500)");
}

TEST(LogLines, AFailedAttemptsReportSaysWhyAndCannotForgeAField) {
  auto row = some_row();
  row.cold_start = false;
  row.outcome = protocol::Outcome::kFunctionError;
  row.error_type = "Bad outcome=ok";
  row.error_message = "he said \"no\" \\ never";
  const AttemptReport report{"f", {{1, 0}, 0}, row, 128};
  EXPECT_EQ(report_line(report),
            "REPORT event=1-0.0 function=f attempt=1 outcome=function_error duration_ms=1.23 "
            "billed_ms=2 memory_mb=128 max_memory_mb=26 cold_start=no "
            "error=\"Bad outcome=ok\" message=\"he said \\\"no\\\" \\\\ never\"");
}

TEST(LogLines, OutputNamesItsAttempt) {
  const OutputLine line{"f", {{1, 0}, 0}, 2, "say \"hi\""};
  EXPECT_EQ(output_line(line), "OUTPUT event=1-0.0 function=f attempt=2: say \"hi\"");
  EXPECT_EQ(output_fields(line),
            R"("kind":"output","event":"1-0.0","function":"f","attempt":2,"text":"say \"hi\"")");
}

TEST(LogLines, WhatIsLeftOutIsSaidInNumbers) {
  EXPECT_TRUE(
      left_out_line({3, 4, 5}).starts_with("LEFT_OUT reports=3 output_lines=4 output_bytes=5: "));
  EXPECT_EQ(left_out_fields({3, 4, 5}),
            R"("kind":"left_out","reports":3,"output_lines":4,"output_bytes":5)");
}

}  // namespace
}  // namespace fanfare::worker
