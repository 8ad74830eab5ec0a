#include "cli/event_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace fanfare::cli {
namespace {

using ::testing::HasSubstr;

TEST(GuessContentType, CallsJsonWhatParsesTextWhatReadsAndBytesTheRest) {
  EXPECT_EQ(guess_content_type(R"({"a": 1})"), "application/json");
  EXPECT_EQ(guess_content_type("[1, 2]"), "application/json");
  EXPECT_EQ(guess_content_type("12"), "application/json");
  EXPECT_EQ(guess_content_type("to be or not to be"), "text/plain");
  EXPECT_EQ(guess_content_type("{broken"), "text/plain");
  EXPECT_EQ(guess_content_type(""), "text/plain");
  EXPECT_EQ(guess_content_type("\x89PNG\xff"), "application/octet-stream");
}

TEST(MakeEvent, TakesDataFromAFileAndKeepsWhatItWasTold) {
  const std::string file = "/tmp/fanfare-event-test-" + std::to_string(getpid());
  std::ofstream(file) << "from a file";
  EventFlags flags;
  flags.type = "text.submitted";
  flags.data = "@" + file;
  flags.content_type = "text/markdown";
  flags.delay = "90s";
  flags.priority = 7;
  const auto event = make_event(flags);
  std::filesystem::remove(file);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->data, "from a file");
  EXPECT_EQ(event->content_type, "text/markdown");
  EXPECT_EQ(event->options.delay, 90'000);
  EXPECT_EQ(event->options.priority, 7);
  EXPECT_EQ(event->source, "/cli");
}

TEST(MakeEvent, NamesTheFileItCannotRead) {
  EventFlags flags;
  flags.data = "@/nonexistent/file";
  const auto event = make_event(flags);
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, HasSubstr("/nonexistent/file"));
  EXPECT_EQ(exit_code_of(event.error()), kUsage);
}

TEST(MakeEvent, RefusesAFolderAsData) {
  EventFlags flags;
  flags.data = "@/tmp";
  const auto event = make_event(flags);
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, HasSubstr("'/tmp': Is a directory"));
  EXPECT_EQ(exit_code_of(event.error()), kUsage);
}

TEST(MakeEvent, NamesTheLimitThatAFileExceeds) {
  const std::string file = "/tmp/fanfare-large-test-" + std::to_string(getpid());
  std::ofstream(file) << std::string((8 << 20) + 4096, 'x');
  EventFlags flags;
  flags.data = "@" + file;
  const auto event = make_event(flags);
  std::filesystem::remove(file);
  ASSERT_FALSE(event);
  EXPECT_THAT(event.error().message, HasSubstr("more than 8388608 bytes"));
  EXPECT_EQ(exit_code_of(event.error()), kRefused);
}

TEST(MakeEvent, LeavesTheContentTypeOutWhenThereIsNoData) {
  const auto event = make_event({.type = "tick"});
  ASSERT_TRUE(event);
  EXPECT_EQ(event->content_type, "");
}

TEST(MakeEvent, ReadsInstants) {
  EventFlags flags;
  flags.type = "t";
  flags.deliver_at = "2026-11-23T15:37:00+01:00";
  flags.expires_at = "1800000000000";
  const auto event = make_event(flags);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->options.deliver_at, 1'795'444'620'000);
  EXPECT_EQ(event->options.expires_at, 1'800'000'000'000);
  flags.expires_at = "soon";
  EXPECT_FALSE(make_event(flags));
}

}  // namespace
}  // namespace fanfare::cli
