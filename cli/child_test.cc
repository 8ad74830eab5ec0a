#include "cli/child.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "cli/child_output.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ChildTest : public ::testing::Test {
 protected:
  ChildTest() { log_ = "/tmp/fanfare-child-test-" + std::to_string(getpid()) + ".log"; }
  ~ChildTest() override { std::filesystem::remove(log_); }

  std::unique_ptr<Child> start(std::vector<std::string> command) {
    auto child = Child::start(loop_,
                              {.name = "test",
                               .command = std::move(command),
                               .environment = {{"FANFARE_TEST_WORD", "fanfare"}},
                               .log_file = log_},
                              [this](const ChildEnd& end) { end_ = end; });
    EXPECT_TRUE(child);
    return *std::move(child);
  }
  void wait() {
    loop_.run_until([this] { return end_.has_value(); }, 10s);
  }

  Loop loop_;
  std::string log_;
  std::optional<ChildEnd> end_;
};

TEST_F(ChildTest, TellsHowAChildEndedAndKeepsWhatItSaid) {
  const auto child = start({"sh", "-c", "echo one; echo $FANFARE_TEST_WORD >&2; exit 3"});
  wait();
  ASSERT_TRUE(end_);
  EXPECT_EQ(end_->exit_code, 3);
  EXPECT_EQ(last_lines(log_, 5), "one\nfanfare");
  EXPECT_EQ(last_lines(log_, 1), "fanfare");
  EXPECT_FALSE(child->running());
}

TEST_F(ChildTest, NamesTheSignalThatEndedAChild) {
  const auto child = start({"sleep", "60"});
  child->send_signal(SIGKILL);
  wait();
  ASSERT_TRUE(end_);
  EXPECT_EQ(end_->exit_code, 128 + SIGKILL);
  EXPECT_THAT(end_->how, HasSubstr("Killed"));
}

TEST_F(ChildTest, SaysThatAProgramIsMissing) {
  const auto child = start({"/nonexistent/program"});
  wait();
  ASSERT_TRUE(end_);
  EXPECT_EQ(end_->exit_code, 127);
  EXPECT_THAT(last_lines(log_, 1), HasSubstr("cannot run /nonexistent/program"));
}

TEST_F(ChildTest, LeavesNothingBehindWhenItIsDestroyed) {
  auto child = start({"sleep", "60"});
  const pid_t pid = child->pid();
  child.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(ChildTest, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t parent = fork();
  if (parent == 0) {  // a supervisor that is killed without warning
    Loop loop;
    auto child = Child::start(
        loop, {.name = "test", .command = {"sleep", "60"}, .environment = {}, .log_file = log_},
        [](const ChildEnd&) {});
    const pid_t grandchild = child ? (*child)->pid() : -1;
    if (write(ends[1], &grandchild, sizeof grandchild) != sizeof grandchild) _exit(1);
    pause();
    _exit(0);
  }
  pid_t grandchild = 0;
  ASSERT_EQ(read(ends[0], &grandchild, sizeof grandchild), static_cast<ssize_t>(sizeof grandchild));
  ASSERT_GT(grandchild, 0);
  bool gone = false;
  auto watch = PidWatch::open(loop_, grandchild, [&] { gone = true; });
  ASSERT_TRUE(watch);
  kill(parent, SIGKILL);
  waitpid(parent, nullptr, 0);
  EXPECT_TRUE(loop_.run_until([&] { return gone; }, 10s));
}

TEST(RunAndCapture, KeepsOutputAndExitCode) {
  const auto ended = run_and_capture({"/bin/sh", "-c", "echo out; echo err >&2; exit 4"}, 10s);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 4);
  EXPECT_EQ(ended->output, "out\nerr\n");
}

TEST(RunAndCapture, KillsWhatTakesTooLong) {
  const auto ended = run_and_capture({"/bin/sleep", "60"}, 50ms);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 128 + SIGKILL);
  EXPECT_THAT(ended->how, HasSubstr("nothing within 50ms"));
}

TEST(RunAndCapture, SaysThatItCannotStart) {
  const auto ended = run_and_capture({"/nonexistent/program"}, 1s);
  ASSERT_FALSE(ended);
  EXPECT_THAT(ended.error().message, HasSubstr("/nonexistent/program"));
}

}  // namespace
}  // namespace fanfare::cli
