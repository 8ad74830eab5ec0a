#include "client/blocking_client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

namespace fanfare::client {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// A broker of one thread that answers in its own way, over a real socket.
class FakeBroker {
 public:
  explicit FakeBroker(bool of_another_version = false)
      : of_another_version_(of_another_version), thread_([this] { serve(); }) {}
  ~FakeBroker() {
    loop_.stop();
    thread_.join();
  }
  std::string endpoint = "ipc:///tmp/fanfare-client-test-" + std::to_string(getpid()) + ".ipc";

 private:
  void serve() {
    ZmqSocket::Handlers handlers;
    handlers.on_message = [this](const PeerId& peer, std::string_view frame) {
      const auto message = protocol::decode(frame);
      ASSERT_TRUE(message) << message.error().message;
      if (const auto* publish = std::get_if<protocol::Publish>(&*message)) {
        protocol::Published answer;
        answer.sequence = publish->sequence;
        answer.routes = {{"f"}};
        answer.runs = {{protocol::PublishRun::Fate::kAccepted,
                        {{publish->sequence, 0}, 0},
                        static_cast<std::uint32_t>(publish->packed_events.size()),
                        0}};
        answer_with(peer, protocol::encode(answer));
      } else if (const auto* admin = std::get_if<protocol::Admin>(&*message)) {
        answer_with(peer,
                    protocol::encode(protocol::AdminReply{admin->request, admin->verb + "!"}));
      }
    };
    socket_.emplace(loop_, zmq_, ZmqOptions{.kind = ZmqKind::kRouter}, std::move(handlers));
    ASSERT_TRUE(socket_->bind(endpoint));
    loop_.run();
    socket_.reset();
  }

  void answer_with(const PeerId& peer, std::string frame) {
    if (of_another_version_) frame[1] = static_cast<char>(protocol::kProtocolVersion + 1);
    ASSERT_TRUE(socket_->send(peer, std::move(frame)));
  }

  const bool of_another_version_;
  Loop loop_;
  ZmqContext zmq_;
  std::optional<ZmqSocket> socket_;
  std::thread thread_;
};

protocol::Event event(std::string data) {
  protocol::Event e;
  e.source = "/test";
  e.type = "test.happened";
  e.data = std::move(data);
  return e;
}

TEST(BlockingClient, PublishesFromManyThreadsOverOneConnection) {
  FakeBroker broker;
  auto client = BlockingClient::open({.broker = broker.endpoint});
  ASSERT_TRUE(client) << client.error().message;
  std::vector<std::thread> threads;
  std::atomic<int> receipts = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        const auto receipt = (*client)->publish(event("hello")).get();
        ASSERT_TRUE(receipt) << receipt.error().message;
        EXPECT_EQ(receipt->functions->front(), "f");
        ++receipts;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(receipts, 800);
}

TEST(BlockingClient, HoldsBackAPublisherThatIsTooFastInsteadOfRefusing) {
  FakeBroker broker;
  auto client =
      BlockingClient::open({.broker = broker.endpoint, .publish = {.queued_events_max = 16}});
  ASSERT_TRUE(client);
  std::vector<std::future<Result<Receipt>>> futures;
  for (int i = 0; i < 2000; ++i) futures.push_back((*client)->publish(event("x")));
  for (auto& future : futures) ASSERT_TRUE(future.get());
}

TEST(BlockingClient, AsksTheBroker) {
  FakeBroker broker;
  auto client = BlockingClient::open({.broker = broker.endpoint});
  ASSERT_TRUE(client);
  const auto answer = (*client)->admin("status", "{}");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, "status!");
}

TEST(BlockingClient, SaysThatNobodyIsThere) {
  auto client = BlockingClient::open(
      {.broker = "ipc:///tmp/fanfare-nobody-" + std::to_string(getpid()) + ".ipc",
       .connect_timeout = 100ms});
  ASSERT_TRUE(client);
  const auto receipt = (*client)->publish(event("x")).get();
  ASSERT_FALSE(receipt);
  EXPECT_EQ(receipt.error().kind, ErrorKind::kReconnect);
  EXPECT_THAT(receipt.error().message, HasSubstr("unreachable"));
  EXPECT_FALSE((*client)->admin("status", "{}"));
}

TEST(BlockingClient, SaysAtOnceThatTheBrokerIsOfAnotherVersion) {
  FakeBroker broker(true);
  auto client = BlockingClient::open({.broker = broker.endpoint});
  ASSERT_TRUE(client);
  const auto versions = fmt::format("protocol version {}, this end version {}",
                                    protocol::kProtocolVersion + 1, protocol::kProtocolVersion);
  const auto published = (*client)->publish(event("x")).get();
  ASSERT_FALSE(published);
  EXPECT_THAT(published.error().message, HasSubstr(versions));
  const auto asked = (*client)->admin("status", "");
  ASSERT_FALSE(asked);
  EXPECT_THAT(asked.error().message, HasSubstr(versions));
}

TEST(BlockingClient, FailsPendingFuturesWhenItIsClosed) {
  auto client = BlockingClient::open({.broker = "ipc:///tmp/fanfare-nobody.ipc"});
  ASSERT_TRUE(client);
  auto future = (*client)->publish(event("x"));
  client->reset();
  const auto receipt = future.get();
  ASSERT_FALSE(receipt);
  EXPECT_THAT(receipt.error().message, HasSubstr("closed"));
}

TEST(BlockingClient, RefusesDataOverTheLimitWithoutSendingIt) {
  auto client = BlockingClient::open({.broker = "ipc:///tmp/fanfare-nobody.ipc"});
  ASSERT_TRUE(client);
  const auto receipt =
      (*client)->publish(event(std::string(protocol::kEventDataBytesCeiling + 1, 'x'))).get();
  ASSERT_FALSE(receipt);
  EXPECT_THAT(receipt.error().message, HasSubstr("too_large"));
}

}  // namespace
}  // namespace fanfare::client
