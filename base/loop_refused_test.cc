// A kernel that refuses to watch a descriptor: epoll_ctl of this program can be told to.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <system_error>
#include <thread>

#include "base/loop.h"

#ifndef FANFARE_SANITIZED  // sanitizers have an epoll_ctl of their own

namespace {
int refuse_after = -1;  // additions; negative: none is refused
}  // namespace

extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) {
  if (operation == EPOLL_CTL_ADD && refuse_after >= 0 && refuse_after-- == 0) {
    errno = ENOSPC;
    return -1;
  }
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}

namespace fanfare {
namespace {

// Whether a loop could be had though the addition with this index was refused. One that could must
// ring and be woken.
bool loop_stands_though_refused(int addition) {
  refuse_after = addition;
  try {
    Loop loop;
    refuse_after = -1;
    bool rang = false;
    Timer timer(loop, [&] { rang = true; });
    timer.start_after(std::chrono::milliseconds{1});
    EXPECT_TRUE(loop.run_until([&] { return rang; }, std::chrono::seconds{10}));
    bool woken = false;  // by another thread, while it waits
    std::thread other([&] { loop.post_from_any_thread([&] { woken = true; }); });
    EXPECT_TRUE(loop.run_until([&] { return woken; }, std::chrono::seconds{10}));
    other.join();
    return true;
  } catch (const std::exception& refusal) {
    refuse_after = -1;
    EXPECT_NE(std::string_view(refusal.what()).find("No space left"), std::string_view::npos)
        << refusal.what();
    return false;
  }
}

TEST(Loop, IsNotHadIfTheKernelWatchesNoTimerForIt) {
  int refused = 0;
  int addition = 0;
  for (; addition < 8; ++addition) {
    if (!loop_stands_though_refused(addition)) ++refused;
  }
  EXPECT_GE(refused, 2) << "its timers, and what wakes it from other threads";
}

}  // namespace
}  // namespace fanfare

#endif
