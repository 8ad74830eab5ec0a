#include "base/daemon.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;

// What systemd would be: the socket that sd_notify writes to.
class ServiceManagerTest : public testing::Test {
 protected:
  ServiceManagerTest() : fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = dir_.file("notify");
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
  }
  ~ServiceManagerTest() override {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    close(fd_);
  }
  std::string said() const {
    char text[256];
    const auto size = recv(fd_, text, sizeof text, 0);
    return size < 0 ? std::string() : std::string(text, static_cast<std::size_t>(size));
  }

  test::TempDir dir_;
  const int fd_;
};

TEST(FileLimit, IsRaisedToWhatTheProcessMayHave) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{.rlim_cur = 100, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  EXPECT_EQ(raise_file_limit(), before.rlim_max);
  rlimit after{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &after), 0);
  EXPECT_EQ(after.rlim_cur, before.rlim_max);
  EXPECT_EQ(raise_file_limit(), before.rlim_max);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(ServiceManagerTest, HearsOfEveryStageOfAService) {
  ServiceManager manager;
  manager.ready("3 functions");
  EXPECT_EQ(said(), "READY=1\nSTATUS=3 functions");
  manager.status("busy");
  EXPECT_EQ(said(), "STATUS=busy");
  manager.extend_timeout(1500ms);
  EXPECT_EQ(said(), "EXTEND_TIMEOUT_USEC=1500000");
  manager.stopping("draining");
  EXPECT_EQ(said(), "STOPPING=1\nSTATUS=draining");
}

TEST_F(ServiceManagerTest, HearsTheWatchdogWhileTheLoopTurns) {
  setenv("WATCHDOG_USEC", "4000", 1);
  Loop loop;
  ServiceManager manager;
  manager.keep_watchdog(loop);
  std::string heard;
  EXPECT_TRUE(loop.run_until([&] { return !(heard = said()).empty(); }, 5s));
  EXPECT_EQ(heard, "WATCHDOG=1");
}

TEST(ServiceManager, SaysNothingWithoutSystemd) {
  ServiceManager manager;
  Loop loop;
  manager.ready("nobody listens");
  manager.keep_watchdog(loop);
}

TEST(IgnoreSigpipe, MakesWritingToNobodyAnErrorCode) {
  ignore_sigpipe();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

}  // namespace
}  // namespace fanfare
