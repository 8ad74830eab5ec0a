// `fanfare schedule` as a shell sees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "store/library.h"
#include "tests/support/redis_server.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

ChildOutput schedule(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {FANFARE_BIN_DIR "/fanfare", "schedule"});
  auto ended = run_and_capture(arguments, 30s);
  EXPECT_TRUE(ended);
  return *std::move(ended);
}

TEST(SchedulePreview, ShowsLocalTimeAndUtc) {
  const auto ended = schedule({"preview", "cron(30 2 ? * SUN *)", "--zone", "Europe/Berlin",
                               "--from", "2026-03-27T00:00:00Z", "--count", "2"});
  EXPECT_EQ(ended.exit_code, kDone);
  EXPECT_THAT(ended.output, HasSubstr("Sun  2026-03-29T03:00:00+02:00  2026-03-29T01:00:00Z"));
  EXPECT_THAT(ended.output, HasSubstr("Sun  2026-04-05T02:30:00+02:00  2026-04-05T00:30:00Z"));
}

TEST(SchedulePreview, SpeaksJson) {
  const auto ended = schedule({"preview", "at(2026-12-24T18:00:00)", "--zone", "Europe/Berlin",
                               "--from", "2026-11-28T00:00:00Z", "--json"});
  EXPECT_EQ(ended.exit_code, kDone);
  EXPECT_THAT(ended.output, HasSubstr(R"("fires":[{"at":"2026-12-24T17:00:00.000Z",)"
                                      R"("local":"2026-12-24T18:00:00+01:00"}],"ends":true)"));
}

TEST(SchedulePreview, SaysWhatNeverFiresAndWhatIsWrong) {
  const auto never = schedule({"preview", "0 0 30 2 *"});
  EXPECT_EQ(never.exit_code, kDone);
  EXPECT_THAT(never.output, HasSubstr("never fires"));
  const auto wrong = schedule({"preview", "61 * * * *"});
  EXPECT_EQ(wrong.exit_code, kUsage);
  EXPECT_THAT(wrong.output, HasSubstr("minute '61' is out of range: it takes 0-59"));
  const auto zone = schedule({"preview", "@daily", "--zone", "Europe/Berlim"});
  EXPECT_EQ(zone.exit_code, kUsage);
  EXPECT_THAT(zone.output, HasSubstr("perhaps Europe/Berlin"));
}

class ScheduleCommands : public ::testing::Test {
 protected:
  ScheduleCommands() { redis.command({"FUNCTION", "LOAD", "REPLACE", store::library_text()}); }
  ChildOutput run(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--redis", "unix://" + redis.socket_path()});
    return schedule(std::move(arguments));
  }
  std::string said(std::vector<std::string> arguments) {
    const auto ended = run(std::move(arguments));
    EXPECT_EQ(ended.exit_code, kDone) << ended.output;
    return ended.output;
  }
  fanfare::test::RedisServer redis{{.append_only = false}};
};

TEST_F(ScheduleCommands, AddListAndRemove) {
  EXPECT_THAT(said({"list"}), HasSubstr("no schedules"));
  EXPECT_THAT(said({"add", "report", "cron(0 9 ? * MON-FRI *)", "--zone", "Europe/Berlin"}),
              HasSubstr("report added, fires next at 2"));
  EXPECT_THAT(said({"list"}), HasSubstr("report  cron(0 9 ? * MON-FRI *)  Europe/Berlin  active"));
  EXPECT_THAT(said({"remove", "report"}), HasSubstr("report removed"));
  EXPECT_THAT(said({"list"}), HasSubstr("no schedules"));
}

TEST_F(ScheduleCommands, TheSameDefinitionOnceMoreChangesNothing) {
  const std::vector<std::string> add{"add", "a", "rate(5 minutes)", "--data", "{}", "--json"};
  EXPECT_THAT(said(add), HasSubstr(R"("outcome":"added")"));
  const auto before = redis.command({"HGET", "fanfare:schedules", "a"});
  EXPECT_THAT(said(add), HasSubstr(R"("outcome":"unchanged")"));
  EXPECT_EQ(redis.command({"HGET", "fanfare:schedules", "a"}), before);
  EXPECT_THAT(said({"add", "a", "rate(6 minutes)", "--json"}),
              HasSubstr(R"("outcome":"replaced")"));
}

TEST_F(ScheduleCommands, EverySettingIsKept) {
  said({"add",
        "a",
        "@hourly",
        "--start",
        "2030-01-01T00:00:00Z",
        "--end",
        "2031-01-01T00:00:00Z",
        "--jitter",
        "10m",
        "--missed",
        "catch_up",
        "--catch-up-max",
        "7",
        "--overlap",
        "skip",
        "--data",
        "text",
        "--attribute",
        "team=billing",
        "--tenant",
        "acme",
        "--disabled"});
  const std::string list = said({"list", "--json"});
  for (const char* part :
       {R"("start":"2030-01-01T00:00:00.000Z")", R"("end":"2031-01-01T00:00:00.000Z")",
        R"("jitter":"10m")", R"("missed":"catch_up")", R"("catch_up_max":7)", R"("overlap":"skip")",
        R"("data":"text")", R"("content_type":"text/plain")", R"("attributes":{"team":"billing"})",
        R"("tenant":"acme")", R"("state":"disabled")", R"("next":null)",
        R"("counts":{"fired":0,"missed":0,"overlapped":0})"}) {
    EXPECT_THAT(list, HasSubstr(part));
  }
}

TEST_F(ScheduleCommands, SayWhatIsWrong) {
  const auto expression = run({"add", "a", "every day"});
  EXPECT_EQ(expression.exit_code, kUsage);
  EXPECT_THAT(expression.output, HasSubstr("is no schedule"));
  EXPECT_THAT(run({"add", "a", "at(2020-01-01T00:00:00)"}).output, HasSubstr("never fires after"));
  EXPECT_THAT(run({"add", "a b", "@daily"}).output, HasSubstr("is no name for a schedule"));
  EXPECT_THAT(run({"add", "a", "@daily", "--attribute", "x"}).output, HasSubstr("NAME=VALUE"));
  EXPECT_EQ(run({"add", "a", "@daily", "--missed", "never"}).exit_code, kUsage);
  said({"add", "report", "@daily"});
  const auto missing = run({"remove", "reprot"});
  EXPECT_EQ(missing.exit_code, kRefused);
  EXPECT_THAT(missing.output, HasSubstr("did you mean report?"));
  EXPECT_THAT(redis.command({"HLEN", "fanfare:schedules"}), "1");
}

}  // namespace
}  // namespace fanfare::cli
