#include "base/zmq_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <vector>

#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

// A ROUTER that keeps what it gets and a DEALER's endpoint to reach it.
class ZmqSocketTest : public testing::Test {
 protected:
  std::unique_ptr<ZmqSocket> make_router(ZmqOptions options = {}) {
    options.kind = ZmqKind::kRouter;
    options.linger = 0ms;
    return std::make_unique<ZmqSocket>(
        loop_, context_, options,
        ZmqSocket::Handlers{.on_message =
                                [this](const PeerId& peer, std::string_view frame) {
                                  peer_ = peer;
                                  router_got_.emplace_back(frame);
                                },
                            .on_connected = nullptr,
                            .on_disconnected = nullptr,
                            .on_writable = nullptr,
                            .on_malformed = nullptr});
  }

  std::unique_ptr<ZmqSocket> make_dealer(ZmqOptions options = {}) {
    options.linger = 0ms;
    options.reconnect_min = 5ms;
    return std::make_unique<ZmqSocket>(
        loop_, context_, options,
        ZmqSocket::Handlers{
            .on_message = [this](const PeerId&,
                                 std::string_view frame) { dealer_got_.emplace_back(frame); },
            .on_connected = [this] { ++connected_; },
            .on_disconnected = [this] { ++disconnected_; },
            .on_writable = [this] { ++writable_; },
            .on_malformed = nullptr});
  }

  bool until(const std::function<bool()>& done) { return loop_.run_until(done, 10s); }

  // A bound router and a connected dealer.
  void connect_pair() {
    router_ = make_router();
    ASSERT_TRUE(router_->bind(endpoint_));
    dealer_ = make_dealer();
    ASSERT_TRUE(dealer_->connect(endpoint_));
    ASSERT_TRUE(until([this] { return connected_ == 1; }));
  }

  Loop loop_;
  ZmqContext context_;
  test::TempDir dir_;
  const std::string endpoint_ = "ipc://" + dir_.file("broker.ipc");
  std::unique_ptr<ZmqSocket> router_, dealer_;
  PeerId peer_;
  std::vector<std::string> router_got_, dealer_got_;
  int connected_ = 0, disconnected_ = 0, writable_ = 0;
};

TEST_F(ZmqSocketTest, CarriesMessagesBothWays) {
  connect_pair();
  ASSERT_TRUE(dealer_->send("question"));
  ASSERT_TRUE(until([this] { return !router_got_.empty(); }));
  ASSERT_TRUE(router_->send(peer_, "answer"));
  ASSERT_TRUE(until([this] { return !dealer_got_.empty(); }));
  EXPECT_THAT(router_got_, ElementsAre("question"));
  EXPECT_THAT(dealer_got_, ElementsAre("answer"));
}

TEST_F(ZmqSocketTest, CarriesEmptyAndLargeAndBinaryFramesUnchanged) {
  connect_pair();
  std::string large(1 << 20, '\0');
  for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<char>(i * 31);
  const std::string expected = large;
  ASSERT_TRUE(dealer_->send(std::string()));
  ASSERT_TRUE(dealer_->send(std::string("a\0b", 3)));
  ASSERT_TRUE(dealer_->send(std::move(large)));
  ASSERT_TRUE(until([this] { return router_got_.size() == 3; }));
  EXPECT_THAT(router_got_, ElementsAre("", std::string("a\0b", 3), expected));
}

TEST_F(ZmqSocketTest, TakesEveryMessageOfAFloodInOrderAndLetsHooksRunInBetween) {
  connect_pair();
  constexpr int kMessages = 20000;
  int sent = 0, turns = 0;
  const auto hook = loop_.before_wait([&] {
    ++turns;
    while (sent < kMessages && dealer_->send(std::to_string(sent))) ++sent;
    if (sent < kMessages) loop_.post([] {});
  });
  ASSERT_TRUE(until([this] { return router_got_.size() == kMessages; }));
  for (int i = 0; i < kMessages; ++i)
    ASSERT_EQ(router_got_[static_cast<std::size_t>(i)], std::to_string(i));
  EXPECT_GE(turns, kMessages / 1000);
}

TEST_F(ZmqSocketTest, SaysThatAPeerIsGoneInsteadOfDroppingItsMessage) {
  connect_pair();
  ASSERT_TRUE(dealer_->send("hello"));
  ASSERT_TRUE(until([this] { return !router_got_.empty(); }));
  dealer_.reset();
  std::string frame = "too late";
  ASSERT_TRUE(until([&] {
    loop_.post([] {});
    auto sent = router_->send(peer_, std::move(frame));
    return !sent && sent.error().kind == ErrorKind::kStale;
  }));
}

TEST_F(ZmqSocketTest, SaysThatAnUnknownPeerIsGone) {
  connect_pair();
  const auto sent = router_->send(PeerId{"nobody"}, "hello");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kStale);
}

TEST_F(ZmqSocketTest, LeavesTheFrameAloneWhenItCannotBeSentYet) {
  dealer_ = make_dealer();
  ASSERT_TRUE(dealer_->connect(endpoint_));
  for (std::string frame : {std::string("small"), std::string(100'000, 'x')}) {
    const std::string before = frame;
    const auto sent = dealer_->send(std::move(frame));
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().kind, ErrorKind::kRetryLater);
    EXPECT_EQ(frame, before);
  }
  ASSERT_TRUE(until([this] { return writable_ > 0; }));  // told to try again
}

TEST_F(ZmqSocketTest, RefusesToSendMoreThanThePeerTakes) {
  connect_pair();
  ZmqOptions options;
  options.message_bytes_max = 1000;
  const auto dealer = make_dealer(options);
  const auto sent = dealer->send(std::string(1001, 'x'));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kReject);
  EXPECT_THAT(sent.error().message, HasSubstr("1001"));
}

TEST_F(ZmqSocketTest, ReportsFullQueuesOfAPeerThatDoesNotRead) {
  connect_pair();
  ASSERT_TRUE(dealer_->send("hello"));
  ASSERT_TRUE(until([this] { return !router_got_.empty(); }));
  // Nobody turns the loop, so the dealer does not read.
  std::optional<ErrorKind> refused;
  for (int i = 0; i < 1'000'000 && !refused; ++i) {
    if (const auto sent = router_->send(peer_, std::string(10'000, 'x')); !sent)
      refused = sent.error().kind;
  }
  EXPECT_EQ(refused, ErrorKind::kRetryLater);
}

TEST_F(ZmqSocketTest, TellsADealerThatItsConnectionIsGoneAndThatItIsBack) {
  connect_pair();
  EXPECT_TRUE(dealer_->connected());
  router_.reset();
  ASSERT_TRUE(until([this] { return disconnected_ == 1; }));
  EXPECT_FALSE(dealer_->connected());
  router_ = make_router();
  ASSERT_TRUE(router_->bind(endpoint_));
  ASSERT_TRUE(until([this] { return connected_ == 2; }));
  ASSERT_TRUE(dealer_->send("again"));  // at once: on_connected means that sending works
  ASSERT_TRUE(until([this] { return !router_got_.empty(); }));
}

TEST_F(ZmqSocketTest, OneThatFollowsAnotherAtOnceHearsOfItsConnection) {
  connect_pair();
  for (int times = 2; times < 12; ++times) {
    dealer_.reset();  // the next one is likely to have its address
    dealer_ = make_dealer();
    ASSERT_TRUE(dealer_->connect(endpoint_));
    ASSERT_TRUE(until([&] { return connected_ == times; })) << times;
  }
}

TEST_F(ZmqSocketTest, CountsAndDropsWhatIsNotOneFrame) {
  router_ = make_router();
  ASSERT_TRUE(router_->bind(endpoint_));
  void* raw = zmq_socket(context_.handle(), ZMQ_DEALER);
  const int linger = 1000;
  zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof linger);
  ASSERT_EQ(zmq_connect(raw, endpoint_.c_str()), 0);
  zmq_send(raw, "one", 3, ZMQ_SNDMORE);
  zmq_send(raw, "two", 3, ZMQ_SNDMORE);
  zmq_send(raw, "three", 5, 0);
  zmq_send(raw, "good", 4, 0);
  ASSERT_TRUE(until([this] { return !router_got_.empty(); }));
  EXPECT_THAT(router_got_, ElementsAre("good"));
  EXPECT_EQ(router_->malformed(), 1u);
  zmq_close(raw);
}

TEST_F(ZmqSocketTest, FindsAFreeTcpPort) {
  router_ = make_router();
  ASSERT_TRUE(router_->bind("tcp://127.0.0.1:*"));
  dealer_ = make_dealer();
  ASSERT_TRUE(dealer_->connect(router_->bound_endpoint()));
  ASSERT_TRUE(until([this] { return connected_ == 1; }));
}

TEST_F(ZmqSocketTest, RefusesATcpPortInUse) {
  router_ = make_router();
  ASSERT_TRUE(router_->bind("tcp://127.0.0.1:*"));
  const auto second = make_router();
  const auto bound = second->bind(router_->bound_endpoint());
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().message, HasSubstr("choose another port"));
}

TEST_F(ZmqSocketTest, RefusesAnIpcPathWhereSomebodyListens) {
  connect_pair();
  const auto second = make_router();
  const auto bound = second->bind(endpoint_);
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().message, HasSubstr("another process listens"));
  ASSERT_TRUE(dealer_->send("still here"));
  ASSERT_TRUE(until([this] { return !router_got_.empty(); }));
}

TEST_F(ZmqSocketTest, TakesOverAnIpcPathThatADeadProcessLeftBehind) {
  const std::string path = dir_.file("broker.ipc");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  close(fd);  // the file stays, as after a kill
  ASSERT_TRUE(std::filesystem::exists(path));
  connect_pair();
}

TEST_F(ZmqSocketTest, DoesNotRemoveAFileThatIsNoSocket) {
  std::ofstream(dir_.file("notes.txt")) << "precious";
  router_ = make_router();
  const auto bound = router_->bind("ipc://" + dir_.file("notes.txt"));
  ASSERT_FALSE(bound);
  EXPECT_THAT(bound.error().message, HasSubstr("no socket"));
  EXPECT_EQ(std::filesystem::file_size(dir_.file("notes.txt")), 8u);
}

TEST_F(ZmqSocketTest, NamesWhatIsWrongWithAnEndpoint) {
  router_ = make_router();
  const auto message = [this](const std::string& endpoint) {
    const auto bound = router_->bind(endpoint);
    return bound ? std::string("bound") : bound.error().message;
  };
  EXPECT_THAT(message("ipc://" + dir_.file("missing/broker.ipc")),
              HasSubstr("create the directory"));
  EXPECT_THAT(message("ipc:///tmp/" + std::string(120, 'x')), HasSubstr("107"));
  EXPECT_THAT(message("broker"), HasSubstr("not an endpoint"));
  EXPECT_THAT(message("tcp://192.0.2.1:7400"), HasSubstr("no such address"));
  EXPECT_THAT(message("tcp://127.0.0.1:port"), HasSubstr("not a valid endpoint"));
}

}  // namespace
}  // namespace fanfare
