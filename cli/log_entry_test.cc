#include "cli/log_entry.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fanfare::cli {
namespace {

constexpr std::string_view kReport =
    "2026-11-28T06:12:01.123Z info fanfare-worker: REPORT event=1795-0.3 function=resize attempt=2 "
    "outcome=function_error duration_ms=1.23 billed_ms=2 memory_mb=256 max_memory_mb=26 "
    "cold_start=yes init_ms=0.50 error=\"Bad one\" message=\"he said \\\"no\\\" outcome=ok\"";
constexpr std::string_view kOutput =
    "2026-11-28T06:12:01.124Z info fanfare-worker: OUTPUT event=1795-0.3 function=resize "
    "attempt=2: a: b REPORT event=9-9.9";

nlohmann::json as_json(LogEntry entry) {
  entry.worker = "local-1";
  return nlohmann::json::parse(entry_json(entry));
}

TEST(LogEntry, AReportIsReadWithAllItsFigures) {
  const auto entry = parse_log_line(kReport);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->time, "2026-11-28T06:12:01.123Z");
  EXPECT_EQ(entry->function, "resize");
  EXPECT_EQ(entry->event, "1795-0.3");
  EXPECT_TRUE(entry->failed);
  const auto json = as_json(*entry);
  EXPECT_EQ(json["worker"], "local-1");
  EXPECT_EQ(json["kind"], "report");
  EXPECT_EQ(json["attempt"], 2);
  EXPECT_EQ(json["outcome"], "function_error") << "not what the message says";
  EXPECT_DOUBLE_EQ(json["duration_ms"].get<double>(), 1.23);
  EXPECT_EQ(json["billed_ms"], 2);
  EXPECT_EQ(json["cold_start"], true);
  EXPECT_EQ(json["error_type"], "Bad one");
  EXPECT_EQ(json["error_message"], "he said \"no\" outcome=ok");
  EXPECT_EQ(format_entry(*entry, false, false),
            "2026-11-28T06:12:01.123Z resize 1795-0.3 REPORT attempt=2 outcome=function_error "
            "duration_ms=1.23 billed_ms=2 memory_mb=256 max_memory_mb=26 cold_start=yes "
            "init_ms=0.50 error=\"Bad one\" message=\"he said \\\"no\\\" outcome=ok\"");
}

TEST(LogEntry, PrintedTextIsTakenAsItIs) {
  const auto entry = parse_log_line(kOutput);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kind, LogEntry::Kind::kOutput);
  EXPECT_EQ(entry->text, "a: b REPORT event=9-9.9");
  EXPECT_EQ(as_json(*entry)["text"], "a: b REPORT event=9-9.9");
  EXPECT_EQ(format_entry(*entry, false, false),
            "2026-11-28T06:12:01.124Z resize 1795-0.3  a: b REPORT event=9-9.9");
}

TEST(LogEntry, ALogInJsonReadsTheSame) {
  const auto entry = parse_log_line(
      R"({"time":"2026-11-28T06:12:01.123Z","level":"info","program":"fanfare-worker","message":)"
      R"("REPORT event=1-0.0 function=f attempt=1 outcome=ok duration_ms=1.23","kind":"report",)"
      R"("event":"1-0.0","function":"f","attempt":1,"outcome":"ok","duration_ms":1.230})");
  ASSERT_TRUE(entry);
  EXPECT_FALSE(entry->failed);
  EXPECT_EQ(entry->text, "outcome=ok duration_ms=1.23");
  EXPECT_EQ(entry->members.substr(0, 16), R"("kind":"report",)");
  EXPECT_EQ(entry->members.find("message"), std::string::npos);
  const auto output = parse_log_line(
      R"({"time":"2026-11-28T06:12:01.123Z","level":"info","program":"fanfare-worker","message":)"
      R"("OUTPUT event=1-0.0 function=f attempt=1: hi","kind":"output","event":"1-0.0",)"
      R"("function":"f","attempt":1,"text":"hi"})");
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "hi");
}

TEST(LogEntry, OtherLinesAndBrokenOnesAreNone) {
  for (const std::string_view line :
       {std::string_view{},
        std::string_view{"2026-11-28T06:12:01.123Z info fanfare-worker: joined"},
        std::string_view{"REPORT"}, std::string_view{"x y z: REPORT event=1 "},
        std::string_view{"t info p: OUTPUT event=1-0.0 function=f attempt=1"},
        std::string_view{"{\"kind\":"}, std::string_view{"{\"kind\":7}"},
        std::string_view{"{\"kind\":\"output\"}"}, std::string_view{"<6"}}) {
    const auto entry = parse_log_line(line);
    EXPECT_TRUE(!entry || entry->kind == LogEntry::Kind::kLeftOut) << line;
  }
}

TEST(LogEntry, WhatWasLeftOutIsShownWithItsNumbers) {
  const auto entry = parse_log_line(
      "<6>2026-11-28T06:12:01.123Z info fanfare-worker: LEFT_OUT reports=7 output_lines=0 "
      "output_bytes=0: more than reports_per_second");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->kind, LogEntry::Kind::kLeftOut);
  EXPECT_EQ(entry->time, "2026-11-28T06:12:01.123Z");
  EXPECT_EQ(as_json(*entry)["reports"], 7);
}

TEST(LogEntry, NoFunctionPlaysTricksOnATerminal) {
  auto entry = parse_log_line(kOutput);
  entry->text = "\x1b[2J\a";
  EXPECT_TRUE(format_entry(*entry, false, false).ends_with("?[2J?"));
}

}  // namespace
}  // namespace fanfare::cli
