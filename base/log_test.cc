#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/details/log_msg.h>
#include <spdlog/formatter.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <iterator>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;

std::string format(spdlog::formatter& formatter, std::string_view text,
                   spdlog::level::level_enum level = spdlog::level::info) {
  const spdlog::log_clock::time_point at{1795531020125ms};
  const spdlog::details::log_msg message(at, {}, "unused", level, {text.data(), text.size()});
  spdlog::memory_buf_t out;
  formatter.format(message, out);
  return {out.data(), out.size()};
}

// Puts the logger back that other tests expect.
class LoggingTest : public testing::Test {
 protected:
  void TearDown() override { spdlog::set_default_logger(before_); }
  std::string logged() const {
    std::ifstream file(path_);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  test::TempDir dir_;
  const std::string path_ = dir_.file("program.log");
};

TEST(TextFormat, WritesTimeLevelProgramMessage) {
  const auto formatter = make_text_formatter({.program = "fanfare-broker"});
  EXPECT_EQ(format(*formatter, "3 functions read"),
            "2026-11-24T14:37:00.125Z info fanfare-broker: 3 functions read\n");
}

TEST(TextFormat, KeepsOneLineOneLineAndATerminalSafe) {
  const auto formatter = make_text_formatter({.program = "p"});
  EXPECT_THAT(format(*formatter, "a\nb\x1b[2Jc\td"), EndsWith("p: a\\nb\\x1b[2Jc\td\n"));
}

TEST(TextFormat, TellsTheJournalThePriority) {
  const auto formatter = make_text_formatter({.program = "p", .priority_prefix = true});
  EXPECT_THAT(format(*formatter, "bad", spdlog::level::err),
              MatchesRegex("<3>2026-.* error p: bad\n"));
  EXPECT_THAT(format(*formatter, "odd", spdlog::level::warn),
              MatchesRegex("<4>2026-.* warn p: odd\n"));
}

TEST(TextFormat, ColoursTheLevelOnlyWhenAsked) {
  const auto formatter = make_text_formatter({.program = "p", .colour = true});
  EXPECT_THAT(format(*formatter, "bad", spdlog::level::err),
              HasSubstr("\033[31merror\033[0m p: bad"));
}

TEST(JsonFormat, WritesOneObjectALine) {
  const auto formatter = make_json_formatter("fanfare-broker");
  EXPECT_EQ(format(*formatter, "ready", spdlog::level::warn),
            R"({"time":"2026-11-24T14:37:00.125Z","level":"warn","program":"fanfare-broker",)"
            R"("message":"ready"})"
            "\n");
}

TEST(JsonFormat, EscapesWhateverAMessageHolds) {
  const auto formatter = make_json_formatter("p");
  EXPECT_THAT(format(*formatter, std::string("\"\\\n\0\x1f", 5)),
              HasSubstr(R"("message":"\"\\\u000a\u0000\u001f")"));
  EXPECT_THAT(format(*formatter, "caf\u00e9 \U0001F600"), HasSubstr("\"caf\u00e9 \U0001F600\""));
  EXPECT_THAT(format(*formatter, "\xff\xe2\x82"), HasSubstr("\"\uFFFD\uFFFD\uFFFD\""));
}

TEST_F(LoggingTest, WritesLinesAtOnceFromTheLevelOnThatWasAskedFor) {
  ASSERT_TRUE(init_logging({.program = "p", .level = "warn", .file = path_}));
  spdlog::info("hidden");
  spdlog::warn("shown {}", 7);
  EXPECT_THAT(logged(), MatchesRegex("2.* warn p: shown 7\n"));
}

TEST_F(LoggingTest, WritesJsonWhenAsked) {
  ASSERT_TRUE(init_logging({.program = "p", .format = "json", .file = path_}));
  spdlog::info("hello");
  EXPECT_THAT(logged(), HasSubstr(R"("message":"hello"})"));
}

TEST_F(LoggingTest, RefusesWhatItDoesNotKnowAndSaysWhatItDoes) {
  const auto level = init_logging({.program = "p", .level = "loud"});
  ASSERT_FALSE(level);
  EXPECT_THAT(level.error().message, HasSubstr("trace, debug, info"));
  const auto form = init_logging({.program = "p", .format = "xml"});
  ASSERT_FALSE(form);
  EXPECT_THAT(form.error().message, HasSubstr("text or json"));
  const auto file = init_logging({.program = "p", .file = "/proc/no/such/file"});
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("/proc/no/such/file"));
}

TEST(LogThrottle, LetsOneLineAPeriodThroughAndCountsTheRest) {
  const TimePoint t0{};
  LogThrottle throttle(10s);
  EXPECT_EQ(throttle.allow(t0), 0u);
  EXPECT_EQ(throttle.allow(t0 + 1s), std::nullopt);
  EXPECT_EQ(throttle.allow(t0 + 9999ms), std::nullopt);
  EXPECT_EQ(throttle.allow(t0 + 10s), 2u);
  EXPECT_EQ(throttle.allow(t0 + 20s), 0u);
}

TEST_F(LoggingTest, FieldsAreMembersInJsonAndAbsentInText) {
  ASSERT_TRUE(init_logging({.program = "p", .format = "json", .file = path_}));
  ASSERT_TRUE(log_takes_fields());
  std::string fields = "\"attempt\":1";
  append_field(fields, "function", "a\"b\n\xff");
  log_with_fields("REPORT", fields);
  EXPECT_THAT(logged(), EndsWith("\"message\":\"REPORT\",\"attempt\":1,\"function\":"
                                 "\"a\\\"b\\u000a\uFFFD\"}\n"));
  ASSERT_TRUE(init_logging({.program = "p", .file = path_}));
  EXPECT_FALSE(log_takes_fields());
  log_with_fields("REPORT again", {});
  EXPECT_THAT(logged(), EndsWith(" info p: REPORT again\n"));
}

}  // namespace
}  // namespace fanfare
