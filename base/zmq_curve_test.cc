// A ROUTER that strangers can reach, with real connections over TCP: who comes in, who does not,
// and what is told of it.
#include "base/zmq_curve.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <fstream>
#include <map>
#include <set>
#include <vector>

#include "base/zmq_socket.h"
#include "base/zmq_zap.h"
#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// A TCP connection that speaks what it is told to.
class RawPeer {
 public:
  explicit RawPeer(const std::string& endpoint)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port =
        htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  ~RawPeer() { close(fd_); }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;
  void say(const std::string& bytes) const {
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  // The other end has closed it.
  bool hung_up() const {
    char bytes[256];
    const ssize_t got = recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN) || (got > 0 && hung_up());
  }

 private:
  int fd_;
};

// ZMTP 3.1's greeting for a mechanism.
std::string greeting(std::string mechanism) {
  mechanism.resize(20);
  return "\xff" + std::string(7, '\0') + "\x01\x7f\x03\x01" + mechanism + std::string(32, '\0');
}

class ZmqCurveTest : public testing::Test {
 protected:
  void SetUp() override {
    beat_.start_every(5ms);
    listen({});
  }

  void listen(ConnectionLimits limits, Duration handshake_timeout = 5s) {
    router_.reset();
    if (!zap_) {
      auto zap = ZapHandler::start(loop_, context_,
                                   [this](const PublicKey& key, std::string_view address) {
                                     asked_.push_back(key.text());
                                     const bool known = allowed_.contains(key.text());
                                     if (!known) router_->note_key_refused(address);
                                     return known;
                                   });
      ASSERT_TRUE(zap) << zap.error().message;
      zap_ = *std::move(zap);
    }
    ZmqOptions options;
    options.kind = ZmqKind::kRouter;
    options.linger = 0ms;
    options.handshake_timeout = handshake_timeout;
    options.peer_tag = 'r';
    options.connection_limits = limits;
    options.curve_server = std::make_shared<const CurveServer>(CurveServer{*KeyPair::make()});
    server_key_ = options.curve_server->own.open;
    ZmqSocket::Handlers handlers;
    handlers.on_message = [](const PeerId&, std::string_view) { FAIL() << "sender unknown"; };
    handlers.on_message_from = [this](const PeerId& peer, const ZmqSocket::Sender& sender,
                                      std::string_view frame) {
      peer_ = peer;
      got_.push_back(names_[std::string(sender.user)] + "@" + std::string(sender.address) + ": " +
                     std::string(frame));
    };
    handlers.on_connection_refused = [this](const ConnectionTable::Refused& refused) {
      ++refused_[std::string(to_string(refused.why))];
      refused_from_ = refused.address;
    };
    router_ = std::make_unique<ZmqSocket>(loop_, context_, options, std::move(handlers));
    ASSERT_TRUE(router_->bind("tcp://127.0.0.1:*"));
  }

  std::shared_ptr<const CurveClient> key(const std::string& name, bool allowed = true) {
    auto own = *KeyPair::make();
    names_[own.open.text()] = name;
    if (allowed) allowed_.insert(own.open.text());
    return std::make_shared<const CurveClient>(CurveClient{std::move(own), *server_key_});
  }

  std::unique_ptr<ZmqSocket> dealer(std::shared_ptr<const CurveClient> curve,
                                    std::string endpoint = {}) {
    ZmqOptions options;
    options.linger = 0ms;
    options.reconnect_min = 20ms;
    options.curve_client = std::move(curve);
    ZmqSocket::Handlers handlers;
    handlers.on_message = [this](const PeerId&, std::string_view frame) {
      answers_.emplace_back(frame);
    };
    handlers.on_connected = [this] { ++connected_; };
    handlers.on_disconnected = [this] { ++disconnected_; };
    handlers.on_refused = [this](ConnectRefusal why) { told_.push_back(why); };
    auto socket = std::make_unique<ZmqSocket>(loop_, context_, options, std::move(handlers));
    EXPECT_TRUE(socket->connect(endpoint.empty() ? router_->bound_endpoint() : endpoint));
    return socket;
  }

  bool until(const std::function<bool()>& done) { return loop_.run_until(done, 10s); }
  // Whether so many are refused for that reason.
  bool until_refused(const std::string& why, int times = 1) {
    return until([&] { return refused_[why] >= times; });
  }

  Loop loop_;
  Timer beat_{loop_, [] {}};  // what a RawPeer sees does not wake the loop
  ZmqContext context_;
  std::unique_ptr<ZapHandler> zap_;
  std::unique_ptr<ZmqSocket> router_;
  std::optional<PublicKey> server_key_;
  std::set<std::string> allowed_;
  std::map<std::string, std::string> names_;
  std::vector<std::string> asked_, got_, answers_;
  std::map<std::string, int> refused_;
  std::string refused_from_;
  PeerId peer_;
  std::vector<ConnectRefusal> told_;
  int connected_ = 0, disconnected_ = 0;
};

TEST_F(ZmqCurveTest, WhoIsAllowedComesInAndIsNamedWithEachMessage) {
  const auto ada = dealer(key("ada"));
  const auto bob = dealer(key("bob"));
  ASSERT_TRUE(until([this] { return connected_ == 2; }));
  ASSERT_TRUE(ada->send("one"));
  ASSERT_TRUE(until([this] { return got_.size() == 1; }));
  EXPECT_EQ(peer_.value().front(), 'r');
  ASSERT_TRUE(router_->send(peer_, "answer"));
  ASSERT_TRUE(bob->send("two"));
  ASSERT_TRUE(until([this] { return got_.size() == 2 && answers_.size() == 1; }));
  EXPECT_THAT(got_, ElementsAre("ada@127.0.0.1: one", "bob@127.0.0.1: two"));
  EXPECT_EQ(router_->open_connections(), 2u);
  EXPECT_TRUE(refused_.empty());
}

TEST_F(ZmqCurveTest, AKeyThatIsNotAllowedIsRefusedAndItsOwnerToldSo) {
  const auto eve = dealer(key("eve", false));
  ASSERT_TRUE(until_refused("unknown_key"));
  EXPECT_THAT(refused_from_, StartsWith("127.0.0.1:"));
  EXPECT_EQ(names_[asked_.at(0)], "eve");
  ASSERT_TRUE(until([this] { return !told_.empty(); }));
  EXPECT_EQ(told_.front(), ConnectRefusal::kKeyNotAllowed);
  EXPECT_EQ(connected_, 0);
  EXPECT_EQ(refused_.size(), 1u);
}

TEST_F(ZmqCurveTest, WhoIsAllowedLaterComesInByItself) {
  const auto adas = key("ada", false);
  const auto ada = dealer(adas);
  ASSERT_TRUE(until_refused("unknown_key", 3));
  allowed_.insert(adas->own.open.text());
  ASSERT_TRUE(until([this] { return connected_ == 1; }));
  ASSERT_TRUE(ada->send("one"));
  ASSERT_TRUE(until([this] { return got_.size() == 1; }));
}

TEST_F(ZmqCurveTest, WhoTakesUsForSomebodyElseIsRefused) {
  auto own = *KeyPair::make();
  allowed_.insert(own.open.text());
  const auto lost = dealer(
      std::make_shared<const CurveClient>(CurveClient{std::move(own), KeyPair::make()->open}));
  ASSERT_TRUE(until_refused("wrong_key"));
  ASSERT_TRUE(until([this] { return !told_.empty(); }));
  EXPECT_EQ(told_.front(), ConnectRefusal::kNoHandshake);
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(connected_, 0);
}

TEST_F(ZmqCurveTest, WhoHasNoKeyIsRefused) {
  const auto plain = dealer(nullptr);
  ASSERT_TRUE(until_refused("no_key"));
  ASSERT_TRUE(until([this] { return !told_.empty(); }));
  EXPECT_EQ(told_.front(), ConnectRefusal::kOtherSecurity);
  EXPECT_EQ(connected_, 0);
}

TEST_F(ZmqCurveTest, OtherMechanismsAreRefusedBeforeAnythingIsAsked) {
  for (const char* mechanism : {"NULL", "PLAIN", "GSSAPI"}) {
    RawPeer peer(router_->bound_endpoint());
    peer.say(greeting(mechanism));
    ASSERT_TRUE(until([&] { return peer.hung_up(); })) << mechanism;
  }
  ASSERT_TRUE(until_refused("no_key", 3));
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(refused_.size(), 1u);
}

TEST_F(ZmqCurveTest, WhatIsNotZmtpIsRefused) {
  {
    RawPeer http(router_->bound_endpoint());
    http.say("GET / HTTP/1.1\r\nHost: broker\r\n\r\n");
    ASSERT_TRUE(until([&] { return http.hung_up(); }));
  }
  ASSERT_TRUE(until_refused("malformed", 1));
  // ZMTP 1.0, which knows no security, and an old 2.0.
  for (const std::string& old : {std::string("\x01\0\x02\0", 4),
                                 std::string("\xff\0\0\0\0\0\0\0\x01\x7f\x01\x05\0\0", 14)}) {
    RawPeer peer(router_->bound_endpoint());
    peer.say(old);
    ASSERT_TRUE(until([&] { return peer.hung_up(); }));
  }
  ASSERT_TRUE(until_refused("malformed", 3));
  RawPeer peer(router_->bound_endpoint());
  peer.say(greeting("CURVE") + "\x04\x10" + std::string(16, 'J'));
  ASSERT_TRUE(until_refused("malformed", 4));
  EXPECT_TRUE(got_.empty());
  EXPECT_EQ(refused_.size(), 1u);
}

TEST_F(ZmqCurveTest, WhoDallysInItsHandshakeIsClosedInTime) {
  listen({}, 100ms);
  RawPeer silent(router_->bound_endpoint());
  RawPeer half(router_->bound_endpoint());
  half.say(greeting("CURVE").substr(0, 20));
  RawPeer greeted(router_->bound_endpoint());
  greeted.say(greeting("CURVE"));
  const auto good = dealer(key("ada"));  // meanwhile others come in
  ASSERT_TRUE(until([this] { return connected_ == 1; }));
  ASSERT_TRUE(until_refused("timeout", 3));
  EXPECT_TRUE(until([&] { return silent.hung_up() && half.hung_up() && greeted.hung_up(); }));
  EXPECT_EQ(disconnected_, 0);
}

TEST_F(ZmqCurveTest, OneThatLeavesInItsHandshakeIsCounted) {
  {
    const RawPeer passer_by(router_->bound_endpoint());
  }
  ASSERT_TRUE(until_refused("left"));
}

TEST_F(ZmqCurveTest, ConnectionsAreBounded) {
  listen({.open_max = 3});
  const auto ada = dealer(key("ada"));
  ASSERT_TRUE(until([this] { return connected_ == 1; }));
  RawPeer one(router_->bound_endpoint()), two(router_->bound_endpoint());
  ASSERT_TRUE(until([this] { return router_->open_connections() == 3; }));
  RawPeer too_many(router_->bound_endpoint());
  ASSERT_TRUE(until_refused("full"));
  EXPECT_TRUE(until([&] { return too_many.hung_up(); }));
  EXPECT_FALSE(one.hung_up());
  ASSERT_TRUE(ada->send("still here"));
  ASSERT_TRUE(until([this] { return got_.size() == 1; }));
}

TEST_F(ZmqCurveTest, WhoIsCutOffIsHungUpOnAndOthersAreNot) {
  const auto eves = key("eve");
  const auto eve = dealer(eves);
  const auto ada = dealer(key("ada"));
  ASSERT_TRUE(until([this] { return connected_ == 2; }));
  ASSERT_TRUE(eve->send("one"));
  ASSERT_TRUE(ada->send("two"));
  ASSERT_TRUE(until([this] { return got_.size() == 2; }));
  allowed_.erase(eves->own.open.text());
  EXPECT_EQ(router_->cut_off(eves->own.open.text()), 1u);
  ASSERT_TRUE(until([this] { return disconnected_ == 1 && !told_.empty(); }));
  EXPECT_EQ(told_.front(), ConnectRefusal::kKeyNotAllowed) << "nor does it come back";
  EXPECT_TRUE(ada->connected());
  EXPECT_FALSE(eve->connected());
}

TEST_F(ZmqCurveTest, WhoSaysNothingIsHungUpOnAndComesBackByItself) {
  listen({.silent_max = 200ms});
  const auto ada = dealer(key("ada"));
  ASSERT_TRUE(until([this] { return connected_ == 1; }));
  ASSERT_TRUE(until_refused("silent"));
  ASSERT_TRUE(until([this] { return connected_ == 2; }));
  ASSERT_TRUE(ada->send("one"));
  ASSERT_TRUE(until([this] { return got_.size() == 1; }));
  loop_.run_until([] { return false; }, 500ms);
  EXPECT_EQ(disconnected_, 1) << "whoever has said something may be silent";
}

// A DEALER as a peer makes it that does not keep to the protocol: with a routing id of its choice.
class ChosenId {
 public:
  ChosenId(ZmqContext& context, const CurveClient& curve, const std::string& id,
           const std::string& endpoint)
      : socket_(zmq_socket(context.handle(), ZMQ_DEALER)) {
    const int none = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket_, ZMQ_ROUTING_ID, id.data(), id.size());
    zmq_setsockopt(socket_, ZMQ_CURVE_SERVERKEY, curve.server.text().c_str(), kKeyChars);
    zmq_setsockopt(socket_, ZMQ_CURVE_PUBLICKEY, curve.own.open.text().c_str(), kKeyChars);
    zmq_setsockopt(socket_, ZMQ_CURVE_SECRETKEY, curve.own.secret.z85(), kKeyChars);
    EXPECT_EQ(zmq_connect(socket_, endpoint.c_str()), 0);
  }
  ~ChosenId() { zmq_close(socket_); }
  ChosenId(const ChosenId&) = delete;
  ChosenId& operator=(const ChosenId&) = delete;
  void say(std::string_view text) { zmq_send(socket_, text.data(), text.size(), 0); }
  std::string heard() {
    char bytes[64];
    const int size = zmq_recv(socket_, bytes, sizeof bytes, ZMQ_DONTWAIT);
    return size < 0 ? std::string{} : std::string(bytes, static_cast<std::size_t>(size));
  }

 private:
  void* socket_;
};

TEST_F(ZmqCurveTest, WhoTakesAnothersRoutingIdIsNotTakenForItAndGetsNothingOfItsOwn) {
  const auto adas = key("ada"), eves = key("eve");
  PeerId ada_before;
  {
    ChosenId ada(context_, *adas, "worker-1", router_->bound_endpoint());
    ada.say("hello");
    ASSERT_TRUE(until([this] { return got_.size() == 1; }));
    ada_before = peer_;
    ASSERT_TRUE(router_->send(ada_before, "for ada"));
    ASSERT_TRUE(until([&] { return ada.heard() == "for ada"; }));
  }
  ASSERT_TRUE(until([this] { return router_->open_connections() == 0; }));
  loop_.run_until([] { return false; }, 200ms);  // for libzmq to give the id back

  ChosenId eve(context_, *eves, "worker-1", router_->bound_endpoint());
  ASSERT_TRUE(until([this] { return asked_.size() == 2; }));
  for (int look = 0; look < 20; ++look) {  // she listens, and says nothing
    EXPECT_FALSE(router_->send(ada_before, "for ada"));
    loop_.run_until([] { return false; }, 5ms);
    EXPECT_EQ(eve.heard(), "");
  }
  eve.say("hello");
  ASSERT_TRUE(until([this] { return got_.size() == 2; }));
  EXPECT_NE(peer_, ada_before);
  EXPECT_FALSE(router_->send(ada_before, "for ada"));
  ASSERT_TRUE(router_->send(peer_, "for eve"));
  ASSERT_TRUE(until([&] { return eve.heard() == "for eve"; })) << "the id is hers by now";
}

TEST_F(ZmqCurveTest, WhoComesBackUnderItsOwnIdIsReachedOnceItHasSaidSomething) {
  const auto adas = key("ada");
  for (int time = 1; time <= 2; ++time) {
    ASSERT_TRUE(until([this] { return router_->open_connections() == 0; }));
    loop_.run_until([] { return false; }, 200ms);  // for libzmq to give the id back
    ChosenId ada(context_, *adas, "worker-1", router_->bound_endpoint());
    ada.say("hello");
    ASSERT_TRUE(until([&] { return static_cast<int>(got_.size()) == time; }));
    ASSERT_TRUE(router_->send(peer_, "for ada"));
    ASSERT_TRUE(until([&] { return ada.heard() == "for ada"; }));
  }
}

// Each answer looks at the connections first, and libzmq fetches what has come by them with that.
TEST_F(ZmqCurveTest, WhatComesWhileSomebodyIsAnsweredIsNotLost) {
  const auto adas = key("ada");
  ChosenId ada(context_, *adas, "worker-1", router_->bound_endpoint());
  ada.say("hello");
  ASSERT_TRUE(until([this] { return got_.size() == 1; }));
  const PeerId peer = peer_;
  constexpr std::size_t kTimes = 200;
  for (std::size_t time = 1; time <= kTimes; ++time) {
    ada.say("more");
    for (int answer = 0; answer < 20; ++answer) {  // without a turn of the loop
      ASSERT_TRUE(router_->send(peer, "answer"));
      const TimePoint until = read_clocks().steady + 10s;
      while (ada.heard().empty()) ASSERT_LT(read_clocks().steady, until);
    }
    ASSERT_TRUE(loop_.run_until([&] { return got_.size() == 1 + time; }, 2s)) << time;
  }
}

TEST_F(ZmqCurveTest, WithoutAHandlerNobodyComesIn) {
  zap_.reset();
  const auto ada = dealer(key("ada"));
  loop_.run_until([this] { return connected_ > 0; }, 200ms);
  EXPECT_EQ(connected_, 0);
  EXPECT_TRUE(got_.empty());
}

TEST_F(ZmqCurveTest, AContextHasOneHandler) {
  const auto second = ZapHandler::start(loop_, context_, [](const auto&, auto) { return true; });
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("zeromq.zap.01"));
}

// ---- what connecting takes ----

class CurveClientTest : public testing::Test {
 protected:
  CurveClientTest() {
    const auto own = KeyPair::make();
    EXPECT_TRUE(write_secret_key(file_, own->secret));
  }
  std::string refused(const BrokerAddress& address) const {
    const auto curve = curve_client(address, "[worker]");
    return curve ? (*curve ? "encrypted" : "plain") : curve.error().message;
  }
  test::TempDir dir_;
  const std::string file_ = dir_.file("own.key");
  const std::string broker_ = KeyPair::make()->open.text();
};

TEST_F(CurveClientTest, OnThisMachineNoKeysAreNeeded) {
  EXPECT_EQ(refused({"ipc:///run/fanfare/broker.ipc", "", ""}), "plain");
  EXPECT_EQ(refused({"ipc:///run/fanfare/broker.ipc", broker_, file_}), "plain");
  EXPECT_EQ(refused({"tcp://127.0.0.1:7400", "", ""}), "plain");
  EXPECT_EQ(refused({"tcp://127.0.0.1:7400", broker_, file_}), "encrypted");
}

TEST_F(CurveClientTest, BeyondItBothKeysAreAndTheMessageSaysWhereFrom) {
  EXPECT_EQ(refused({"tcp://broker.example.org:7400", broker_, file_}), "encrypted");
  EXPECT_THAT(refused({"tcp://10.0.0.1:7400", "", ""}),
              AllOf(HasSubstr("[worker]"), HasSubstr("broker_key and curve_secret_key_file"),
                    HasSubstr("ops/keys add")));
  EXPECT_THAT(refused({"tcp://10.0.0.1:7400", broker_, ""}), HasSubstr("curve_secret_key_file"));
  EXPECT_THAT(refused({"tcp://10.0.0.1:7400", "", file_}), HasSubstr("broker_key as well"));
}

TEST_F(CurveClientTest, SaysWhichFileDoesNotDo) {
  EXPECT_THAT(refused({"tcp://10.0.0.1:7400", "nonsense", file_}),
              HasSubstr("[worker] broker_key: 'nonsense'"));
  EXPECT_THAT(refused({"tcp://10.0.0.1:7400", broker_, dir_.file("none")}),
              HasSubstr("[worker] curve_secret_key_file: cannot read"));
}

}  // namespace
}  // namespace fanfare
