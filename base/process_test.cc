#include "base/process.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace fanfare {
namespace {

using namespace std::chrono_literals;

// A child that lives until it is killed.
int spawn_child() {
  const int pid = fork();
  if (pid == 0) {
    for (;;) pause();
  }
  return pid;
}

void reap(int pid) {
  kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
}

TEST(BootId, IsTheSameForEveryoneWhoAsks) {
  const auto first = this_boot_id(), second = this_boot_id();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->size(), 36u);
  EXPECT_EQ(*first, *second);
}

TEST(ProcessStartTime, TellsProcessesApart) {
  const int child = spawn_child();
  const auto own = process_start_time(getpid()), childs = process_start_time(child);
  ASSERT_TRUE(own);
  ASSERT_TRUE(childs);
  EXPECT_LE(*own, *childs);
  EXPECT_GT(*own, 0u);
  reap(child);
  const auto gone = process_start_time(child);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::kStale);
}

TEST(PidWatch, NoticesTheEndOfAProcessOnce) {
  Loop loop;
  const int child = spawn_child();
  int ends = 0;
  const auto watch = PidWatch::open(loop, child, [&] { ++ends; });
  ASSERT_TRUE(watch);
  EXPECT_FALSE(loop.run_until([&] { return ends > 0; }, 5ms));
  kill(child, SIGKILL);
  EXPECT_TRUE(loop.run_until([&] { return ends > 0; }, 5s));
  EXPECT_FALSE(loop.run_until([&] { return ends > 1; }, 5ms));
  reap(child);
}

TEST(PidWatch, MayBeDestroyedByItsOwnCallback) {
  Loop loop;
  const int child = spawn_child();
  bool ended = false;
  std::unique_ptr<PidWatch> watch;
  auto opened = PidWatch::open(loop, child, [&] {
    watch.reset();
    ended = true;
  });
  ASSERT_TRUE(opened);
  watch = *std::move(opened);
  kill(child, SIGKILL);
  EXPECT_TRUE(loop.run_until([&] { return ended; }, 5s));
  reap(child);
}

TEST(PidWatch, SaysThatAProcessIsGoneAlready) {
  Loop loop;
  const int child = spawn_child();
  reap(child);
  const auto watch = PidWatch::open(loop, child, [] {});
  ASSERT_FALSE(watch);
  EXPECT_EQ(watch.error().kind, ErrorKind::kStale);
}

}  // namespace
}  // namespace fanfare
