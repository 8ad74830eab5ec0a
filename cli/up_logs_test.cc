// fanfare logs on a whole installation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/exit_code.h"
#include "cli/up_fixture.h"

namespace fanfare::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class UpLogsTest : public UpTest {
 protected:
  static std::vector<nlohmann::json> lines(const std::string& output) {
    std::vector<nlohmann::json> all;
    std::istringstream in(output);
    for (std::string line; std::getline(in, line);) {
      all.push_back(nlohmann::json::parse(line, nullptr, false));
      EXPECT_TRUE(all.back().is_object()) << line;
    }
    return all;
  }
};

TEST_F(UpLogsTest, ShowsWhatFunctionsPrintAndAReportOfEachAttempt) {
  Up up(data_, {"--no-examples", "--functions", test_function(dir_, "chatty")});
  ASSERT_EQ(up.run({"publish", "--type", "chatty", "--data", "hello", "--wait"}).exit_code, kDone);
  const auto shown = up.run({"logs", "chatty"});
  EXPECT_EQ(shown.exit_code, kDone);
  EXPECT_THAT(shown.output, HasSubstr("  printf hello\n"));
  EXPECT_THAT(shown.output, HasSubstr("  cerr hello\n"));
  EXPECT_THAT(shown.output, HasSubstr(" REPORT attempt=1 outcome=ok duration_ms="));
  EXPECT_THAT(shown.output, Not(HasSubstr("\x1b["))) << "colour is for terminals";

  const auto all = lines(up.run({"--json", "logs"}).output);
  ASSERT_EQ(all.size(), 7u) << "six lines and a report";
  EXPECT_EQ(all[0]["text"], "printf hello");
  EXPECT_EQ(all[6]["kind"], "report");
  EXPECT_EQ(all[6]["worker"], "local-1");
  EXPECT_EQ(all[6]["memory_mb"], 256);
  EXPECT_GE(all[6]["billed_ms"], 1);
  EXPECT_EQ(lines(up.run({"--json", "logs", "--lines", "2"}).output).size(), 2u);
  EXPECT_EQ(lines(up.run({"--json", "logs", "--since", "1h"}).output).size(), 7u);

  const auto none = up.run({"logs", "nobody"});
  EXPECT_EQ(none.exit_code, kDone);
  EXPECT_THAT(none.output, HasSubstr("no function has printed anything"));
}

TEST_F(UpLogsTest, FollowsOverTheRenamingOfALog) {
  setenv("FANFARE_WORKER_LOG_FILE_MAX", "20000", 1);
  Up up(data_, {"--no-examples", "--functions", test_function(dir_, "chatty")});
  unsetenv("FANFARE_WORKER_LOG_FILE_MAX");
  Loop loop;
  const std::string followed = dir_.file("followed");
  std::optional<ChildEnd> end;
  auto child = Child::start(loop,
                            {.name = "logs",
                             .command = {kFanfare, "--data", data_, "--json", "logs", "--follow"},
                             .environment = {},
                             .log_file = followed},
                            [&](const ChildEnd& ended) { end = ended; });
  ASSERT_TRUE(child);
  constexpr int kEvents = 30;
  for (int i = 0; i < kEvents; ++i) {
    up.run({"invoke", "chatty", "--data", "event " + std::to_string(i)});
  }
  const auto heard = [&](int i) {
    return read_file(followed).find("\"printf event " + std::to_string(i) + "\"") !=
           std::string::npos;
  };
  EXPECT_TRUE(up.wait([&] { return heard(kEvents - 1); }));
  for (int i = 0; i < kEvents; ++i) EXPECT_TRUE(heard(i)) << i;
  EXPECT_TRUE(std::filesystem::exists(data_ + "/log/worker-1.log.1")) << "it was renamed meanwhile";
  (*child)->send_signal(SIGINT);
}

TEST_F(UpLogsTest, TheLogsOfSeveralWorkersAreSortedByTime) {
  const auto line = [](int second, const std::string& text) {
    return "2026-11-28T06:12:0" + std::to_string(second) +
           ".000Z info fanfare-worker: OUTPUT event=1-0.0 function=f attempt=1: " + text + "\n";
  };
  std::ofstream(dir_.file("worker-1.log")) << line(1, "one") << line(4, "four");
  std::ofstream(dir_.file("worker-2.log")) << line(2, "two") << line(3, "three");
  const auto shown =
      run_and_capture({kFanfare, "logs", "--lines", "3", "--file", dir_.file("worker-1.log"),
                       "--file", dir_.file("worker-2.log")},
                      std::chrono::seconds{10});
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->output,
            "2026-11-28T06:12:02.000Z local-2 f 1-0.0  two\n"
            "2026-11-28T06:12:03.000Z local-2 f 1-0.0  three\n"
            "2026-11-28T06:12:04.000Z local-1 f 1-0.0  four\n");
}

TEST_F(UpLogsTest, SaysWhereTheLogsOfOtherWorkersAre) {
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), kFanfare);
    return *run_and_capture(words, std::chrono::seconds{10});
  };
  const auto elsewhere = run({"--broker", "ipc:///run/fanfare/broker.ipc", "logs"});
  EXPECT_EQ(elsewhere.exit_code, kRefused);
  EXPECT_THAT(elsewhere.output,
              HasSubstr("journalctl -u 'fanfare-worker@*' -o cat | fanfare logs"));
  const auto nowhere = run({"--data", dir_.file("nothing"), "logs"});
  EXPECT_EQ(nowhere.exit_code, kRefused);
  EXPECT_THAT(nowhere.output, HasSubstr("no worker has written a log in "));
  const auto missing = run({"logs", "--file", dir_.file("nothing.log")});
  EXPECT_EQ(missing.exit_code, kRefused);
  EXPECT_THAT(missing.output, HasSubstr("nothing.log"));
}

}  // namespace
}  // namespace fanfare::cli
