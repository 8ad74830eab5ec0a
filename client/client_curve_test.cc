// What a publisher or operator is told when a broker of another machine does not let it in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/zmq_zap.h"
#include "client/client.h"

namespace fanfare::client {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class ClientOverZmqTest : public testing::Test {
 protected:
  ClientOverZmqTest() {
    zap_ = *ZapHandler::start(loop_, context_,
                              [this](const PublicKey&, std::string_view) { return lets_in_; });
    ZmqOptions options;
    options.kind = ZmqKind::kRouter;
    options.linger = 0ms;
    options.curve_server = std::make_shared<const CurveServer>(CurveServer{*KeyPair::make()});
    key_ = options.curve_server->own.open;
    ZmqSocket::Handlers handlers;
    handlers.on_message_from = [this](const PeerId&, const ZmqSocket::Sender&, std::string_view) {
      ++received_;
    };
    router_ = std::make_unique<ZmqSocket>(loop_, context_, options, std::move(handlers));
    EXPECT_TRUE(router_->bind("tcp://127.0.0.1:*"));
  }

  // The errors that an event and a question end with.
  struct Told {
    std::string event, question;
    bool all() const { return !event.empty() && !question.empty(); }
  };
  Told ask(std::shared_ptr<const CurveClient> curve, Duration patience = 10s) {
    ClientOptions options{.broker = router_->bound_endpoint(), .curve = std::move(curve)};
    options.connect_timeout = patience;
    auto client = Client::open(loop_, zmq_, options);
    Told told;
    protocol::Event event;
    event.source = "/tests";
    event.type = "order.placed";
    EXPECT_TRUE((*client)->publish(event, [&](const Result<Receipt>& receipt) {
      told.event = receipt ? "accepted" : receipt.error().message;
    }));
    (*client)->admin("status", "{}", [&](const Result<std::string>& answer) {
      told.question = answer ? "answered" : answer.error().message;
      kind_ = answer ? ErrorKind::kFatal : answer.error().kind;
    });
    EXPECT_TRUE(loop_.run_until([&] { return told.all() || received_ == 2; }, 20s));
    return told;
  }
  std::shared_ptr<const CurveClient> a_key_for(const PublicKey& server) const {
    return std::make_shared<const CurveClient>(CurveClient{*KeyPair::make(), server});
  }

  Loop loop_;
  ZmqContext context_, zmq_;
  bool lets_in_ = false;
  std::unique_ptr<ZapHandler> zap_;
  std::unique_ptr<ZmqSocket> router_;
  std::optional<PublicKey> key_;
  int received_ = 0;
  ErrorKind kind_ = ErrorKind::kFatal;
};

TEST_F(ClientOverZmqTest, AKeyThatIsAllowedIsServed) {
  lets_in_ = true;
  EXPECT_FALSE(ask(a_key_for(*key_)).all());
  EXPECT_EQ(received_, 2);
}

TEST_F(ClientOverZmqTest, AKeyThatIsNotAllowedIsToldSoAtOnce) {
  const Told told = ask(a_key_for(*key_));
  for (const std::string& message : {told.event, told.question}) {
    EXPECT_THAT(message, HasSubstr("not_allowed: the broker at tcp://127.0.0.1:"));
    EXPECT_THAT(message, HasSubstr("refused the connection: key not allowed"));
    EXPECT_THAT(message, HasSubstr("ops/keys add"));
  }
  EXPECT_EQ(kind_, ErrorKind::kReject);
}

TEST_F(ClientOverZmqTest, WhoHasNoKeyIsToldThatItWantsOne) {
  EXPECT_THAT(ask(nullptr).question, HasSubstr("it wants keys (broker_key and"));
}

TEST_F(ClientOverZmqTest, AnotherBrokersKeyEndsInTimeWithAHint) {
  const PublicKey other = KeyPair::make()->open;
  const Told told = ask(a_key_for(other), 2s);
  EXPECT_THAT(told.question, HasSubstr("unreachable: no broker at"));
  EXPECT_THAT(told.question, HasSubstr("hung up: is its public key " + other.text()));
  EXPECT_EQ(kind_, ErrorKind::kReconnect);
}

}  // namespace
}  // namespace fanfare::client
