#include "base/metrics_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

namespace fanfare {
namespace {

using namespace std::chrono_literals;

// Sends raw bytes and returns everything that comes back until the server closes.
std::string ask(std::uint16_t port, const std::string& request) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t got; (got = ::recv(fd, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<std::size_t>(got));
    }
  }
  ::close(fd);
  return answer;
}

class MetricsServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = MetricsServer::start(
        loop_, "127.0.0.1:0",
        {.metrics = [] { return std::string("fanfare_events_accepted_total 3\n"); },
         .ready = [this] { return ready_; }});
    ASSERT_TRUE(started) << started.error().message;
    server_ = *std::move(started);
  }
  // The client blocks in a thread of its own while the loop serves it.
  std::string serve(const std::string& request) {
    std::string answer;
    std::atomic<bool> done = false;
    std::thread client([&, port = server_->port()] {
      answer = ask(port, request);
      done = true;
      loop_.post_from_any_thread([] {});  // wakes it
    });
    EXPECT_TRUE(loop_.run_until([&] { return done.load(); }, 10s));
    client.join();
    return answer;
  }

  Loop loop_;
  bool ready_ = true;
  std::unique_ptr<MetricsServer> server_;
};

TEST_F(MetricsServerTest, ServesTheCountersAsText) {
  const std::string answer = serve("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
  EXPECT_NE(answer.find("fanfare_events_accepted_total 3"), std::string::npos);
}

TEST_F(MetricsServerTest, SaysWhenItIsNotReady) {
  ready_ = false;
  EXPECT_TRUE(serve("GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(serve("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
}

TEST_F(MetricsServerTest, AnswersGarbageByClosingAndServesOn) {
  serve("\x16\x03\x01 this is not HTTP\r\n\r\n");
  EXPECT_TRUE(serve("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
                  .starts_with("HTTP/1.1 405"));
  EXPECT_TRUE(serve("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 404"));
}

TEST_F(MetricsServerTest, APortInUseIsAClearError) {
  const auto second = MetricsServer::start(loop_, "127.0.0.1:" + std::to_string(server_->port()),
                                           {.metrics = {}, .ready = {}});
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("`metrics`"), std::string::npos);
}

}  // namespace
}  // namespace fanfare
