#include "base/tcp_acceptor.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using boost::asio::ip::tcp;

class TcpAcceptorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    acceptor_.socket().open(tcp::v4());
    acceptor_.socket().bind({boost::asio::ip::address_v4::loopback(), 0});
    acceptor_.socket().listen();
    acceptor_.start();
  }
  // The kernel takes connections of a socket that listens, also if nobody accepts them.
  int connect() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(acceptor_.socket().local_endpoint().port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  Loop loop_;
  int taken_ = 0;
  TcpAcceptor acceptor_{loop_, [this](tcp::socket) { ++taken_; }};
};

TEST_F(TcpAcceptorTest, TakesOneConnectionAfterTheOther) {
  const int clients[] = {connect(), connect(), connect()};
  EXPECT_TRUE(loop_.run_until([&] { return taken_ == 3; }, 10s));
  for (const int fd : clients) ::close(fd);
}

TEST_F(TcpAcceptorTest, RestsWhileThereAreNoDescriptorsAndTakesWhatHasWaited) {
  const int client = connect();
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 3, .rlim_max = before.rlim_max};
  int turns = 0;
  {
    // Made and destroyed while there are descriptors: UBSan needs two to look at an object of a
    // type that is new to it.
    const auto count = loop_.before_wait([&] { ++turns; });
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    loop_.run_until([] { return false; }, 10 * TcpAcceptor::kPause);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  }
  EXPECT_EQ(taken_, 0);
  EXPECT_GT(turns, 2) << "it tries again";
  EXPECT_LT(turns, 100) << "it does nothing else";
  EXPECT_TRUE(loop_.run_until([&] { return taken_ == 1; }, 10s));
  ::close(client);
}

TEST_F(TcpAcceptorTest, TakesNothingOnceItIsClosed) {
  acceptor_.close();
  loop_.run_until([] { return false; }, 20ms);
  EXPECT_FALSE(acceptor_.socket().is_open());
  EXPECT_EQ(taken_, 0);
}

}  // namespace
}  // namespace fanfare
