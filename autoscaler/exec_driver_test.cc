#include "autoscaler/exec_driver.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <optional>

#include "tests/support/temp_dir.h"

namespace fanfare::autoscaler {
namespace {

using namespace std::chrono_literals;
using test::TempDir;
using ::testing::HasSubstr;

class Driven {
 public:
  explicit Driven(ExecOptions options) : driver(loop, std::move(options)) {}
  Result<WorkerSet> count() {
    std::optional<Result<WorkerSet>> answer;
    driver.count({}, [&](Result<WorkerSet> set) { answer = std::move(set); });
    loop.run_until([&] { return answer.has_value(); }, 20s);
    return answer ? *answer : fatal("no answer");
  }
  Result<std::string> scale_to(std::uint32_t workers) {
    std::optional<Result<std::string>> answer;
    driver.scale_to(workers, [&](Result<std::string> said) { answer = std::move(said); });
    loop.run_until([&] { return answer.has_value(); }, 20s);
    return answer ? *answer : fatal("no answer");
  }
  Loop loop;
  ExecDriver driver;
};

TEST(ExecDriver, CountsAndScalesByCommands) {
  TempDir dir;
  const std::string file = dir.file("workers of mine");
  Driven driven(
      {.count = {"cat", file},
       .scale = {"sh", "-c", "echo {workers} $FANFARE_WORKERS > \"$0\"; echo done", file}});
  EXPECT_FALSE(driven.count()) << "there is no such file yet";
  const auto said = driven.scale_to(7);
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_EQ(*said, "sh ran: done");
  const auto set = driven.count();
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->running, 7u);
  EXPECT_EQ(set->leaving, 7u) << "the second number";
}

TEST(ExecDriver, SaysWhatWentWrong) {
  const auto why = [](std::vector<std::string> count, Duration time = 10s) {
    Driven driven({.count = std::move(count), .scale = {"true"}, .time = time});
    const auto set = driven.count();
    return set ? std::string{} : set.error().message;
  };
  EXPECT_EQ(why({"echo", "3"}), "");
  EXPECT_THAT(why({"/nowhere/at/all"}), HasSubstr("cannot run /nowhere/at/all: No such file"));
  EXPECT_THAT(why({"echo", "three"}), HasSubstr("printed 'three'"));
  EXPECT_THAT(why({"echo", "3 4 5"}), HasSubstr("one or two numbers"));
  EXPECT_THAT(why({"echo", "-3"}), HasSubstr("printed '-3'"));
  EXPECT_THAT(why({"true"}), HasSubstr("printed ''"));
  EXPECT_THAT(why({"sh", "-c", "echo no such cloud >&2; exit 4"}),
              HasSubstr("ended with exit code 4: no such cloud"));
  EXPECT_THAT(why({"sh", "-c", "kill -9 $$"}), HasSubstr("signal 9"));
  EXPECT_THAT(why({"sleep", "100"}, 100ms), HasSubstr("took longer than command_time"));
}

// Also what it has started in turn, and when the driver goes while it runs.
TEST(ExecDriver, LeavesNothingRunning) {
  TempDir dir;
  const std::string file = dir.file("pid");
  // It may be a zombie for as long as nobody asks for it.
  const auto gone = [&] {
    pid_t pid = 0;
    std::ifstream{file} >> pid;
    for (int i = 0; i < 500; ++i) {
      std::string line;
      std::getline(std::ifstream{fmt::format("/proc/{}/stat", pid)}, line);
      if (line.find(") ") == line.npos || line.find(") Z ") != line.npos) return pid > 0;
      ::usleep(10'000);
    }
    return false;
  };
  const std::vector<std::string> leaves{"sh", "-c", "sleep 100 & echo $! > \"$0\"; echo 1", file};
  {
    Driven driven({.count = leaves, .scale = {"true"}});
    ASSERT_TRUE(driven.count());
  }
  EXPECT_TRUE(gone());
  {
    Driven driven({.count = {"sh", "-c",
                             "sleep 100 & echo $! > \"$0.new\"; mv \"$0.new\" \"$0\"; wait", file},
                   .scale = {"true"}});
    std::ofstream(file) << "";
    driven.driver.count({}, [](Result<WorkerSet>) {});
    Timer poll(driven.loop, [] {});
    poll.start_every(5ms);
    driven.loop.run_until([&] { return std::ifstream(file).peek() != EOF; }, 10s);
  }
  EXPECT_TRUE(gone());
}

}  // namespace
}  // namespace fanfare::autoscaler
