#include "cli/gateway_status.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

// What listens at a port of its own, and answers the first who comes.
class Listener {
 public:
  Listener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_, 8), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~Listener() {
    if (answering_.joinable()) answering_.join();
    ::close(fd_);
  }
  void answer_one(std::string_view text) {
    answering_ = std::thread([this, text] {
      const int client = ::accept(fd_, nullptr, nullptr);
      char request[256];
      EXPECT_GT(::recv(client, request, sizeof request, 0), 0);
      EXPECT_EQ(::send(client, text.data(), text.size(), MSG_NOSIGNAL), std::ssize(text));
      ::close(client);
    });
  }
  std::string url;

 private:
  int fd_;
  std::thread answering_;
};

class GatewayStatusTest : public testing::Test {
 protected:
  std::optional<GatewayStatus> status_of(const std::string& url) {
    std::filesystem::create_directories(dir_.file("run"));
    std::ofstream(dir_.file("run/gateway.url")) << url << '\n';
    return gateway_status(address_);
  }
  test::TempDir dir_;
  const Address address_{.data = dir_.path().string(), .broker = {}, .redis = {}};
};

TEST_F(GatewayStatusTest, SaysOfAGatewayThatIsThereThatItAnswers) {
  Listener listener;
  listener.answer_one("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
  const auto status = status_of(listener.url);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->url, listener.url);
  EXPECT_TRUE(status->up) << status->trouble;
}

TEST_F(GatewayStatusTest, SaysWhyOneIsAway) {
  EXPECT_EQ(status_of("http://127.0.0.1:1")->trouble, "Connection refused");
  EXPECT_FALSE(status_of("http://127.0.0.1:1")->up);
  EXPECT_EQ(status_of("nonsense")->trouble, "its address cannot be read");
  Listener other;
  other.answer_one("220 mail.example.org\r\n");
  EXPECT_EQ(status_of(other.url)->trouble, "what answers there is no gateway");
}

TEST_F(GatewayStatusTest, SaysOfOneThatIsSilentThatItIsAway) {
  const Listener silent;
  EXPECT_EQ(status_of(silent.url)->trouble, "no answer within 1s");
}

TEST_F(GatewayStatusTest, SaysNothingWhereThereIsNone) {
  EXPECT_FALSE(gateway_status(address_));
  ASSERT_TRUE(status_of("http://127.0.0.1:1"));
  Address broker = address_;
  broker.broker = "ipc:///elsewhere";
  EXPECT_FALSE(gateway_status(broker));
}

}  // namespace
}  // namespace fanfare::cli
