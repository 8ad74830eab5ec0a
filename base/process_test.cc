#include "base/process.h"

#include <gtest/gtest.h>
#include <sched.h>
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

TEST(HostId, IsTheBootIdExceptWhereAPidMeansSomebodyElse) {
  EXPECT_EQ(host_id_of("boot", 0xEFFFFFFC), "boot");
  EXPECT_EQ(host_id_of("boot", 4026532201), "boot/pid:4026532201");
  const auto host = this_host_id();
  ASSERT_TRUE(host) << host.error().message;
  EXPECT_TRUE(host->starts_with(*this_boot_id()));
}

TEST(HostId, IsAnotherOneInAPidNamespaceOfItsOwn) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int child = fork();
  if (child == 0) {
    // As root, or where users may have namespaces of their own.
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) _exit(1);
    const int inside = fork();  // the first one that is in it
    if (inside == 0) {
      const auto host = this_host_id();
      const std::string said = host ? *host : host.error().message;
      _exit(write(ends[1], said.data(), said.size()) > 0 ? 0 : 2);
    }
    int status = 0;
    _exit(inside > 0 && waitpid(inside, &status, 0) == inside ? WEXITSTATUS(status) : 2);
  }
  close(ends[1]);
  std::string said(256, '\0');
  const ssize_t got = read(ends[0], said.data(), said.size());
  close(ends[0]);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 1) GTEST_SKIP() << "this user may not make a PID namespace";
  ASSERT_GT(got, 0);
  said.resize(static_cast<std::size_t>(got));
  EXPECT_TRUE(said.starts_with(*this_boot_id() + "/pid:")) << said;
  EXPECT_NE(said, *this_host_id());
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
