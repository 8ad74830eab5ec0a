#include "broker/remote_door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "broker/config.h"
#include "protocol/kinds.h"
#include "protocol/messages.h"
#include "tests/support/temp_dir.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// A peer elsewhere, with a key of its own.
struct Elsewhere {
  std::shared_ptr<const CurveClient> curve;
  std::unique_ptr<ZmqSocket> socket;
  int connected = 0, disconnected = 0, refused = 0;
  std::string key() const { return curve->own.open.text(); }
};

class RemoteDoorOverZmqTest : public testing::Test {
 protected:
  RemoteDoorOverZmqTest() {
    EXPECT_TRUE(write_secret_key(options_.secret_key_file, own_.secret));
    options_.listen = {"tcp://127.0.0.1:*"};
  }

  void allow(const std::map<std::string, std::string>& roles_by_name) {
    std::string text = "# the test's\n";
    for (const auto& [name, roles] : roles_by_name) {
      text += peer(name).key() + " " + roles + " " + name + "\n";
    }
    const std::string beside = options_.allowed_keys + ".new";
    std::ofstream(beside) << text;
    std::filesystem::rename(beside, options_.allowed_keys);
  }

  Elsewhere& peer(const std::string& name) {
    Elsewhere& one = peers_[name];
    if (!one.curve) {
      one.curve = std::make_shared<const CurveClient>(CurveClient{*KeyPair::make(), own_.open});
    }
    return one;
  }

  void open() {
    RemoteDoor::Handlers handlers;
    handlers.on_frame = [this](const PeerId& peer, std::string_view frame) {
      EXPECT_EQ(peer.value().front(), RemoteDoor::kPeerTag);
      taken_.push_back(protocol::peek_kind(frame));
    };
    handlers.on_not_one_frame = [](const PeerId&) {};
    handlers.on_not_allowed = [this](const PeerId&, std::string_view, std::string why) {
      refused_.push_back(std::move(why));
    };
    handlers.on_connection_refused = [this](ConnectionRefusal why) {
      ++connections_refused_[std::string(to_string(why))];
    };
    handlers.on_cut_off = [this](std::size_t connections) { cut_off_ += connections; };
    handlers.on_not_worker = [this](const std::string& key) { not_workers_.push_back(key); };
    handlers.worker = [this](const std::string& name) {
      return name == "here"    ? WorkerNames::Here::kLocal
             : joined_ == name ? WorkerNames::Here::kRemote
                               : WorkerNames::Here::kNobody;
    };
    auto door = RemoteDoor::open(loop_, options_, std::move(handlers));
    ASSERT_TRUE(door) << door.error().message;
    door_ = *std::move(door);
  }

  void connect(const std::string& name) {
    Elsewhere& one = peer(name);
    ZmqOptions options;
    options.linger = 0ms;
    options.reconnect_min = 20ms;
    options.curve_client = one.curve;
    ZmqSocket::Handlers handlers;
    handlers.on_message = [](const PeerId&, std::string_view) {};
    handlers.on_connected = [&one] { ++one.connected; };
    handlers.on_disconnected = [&one] { ++one.disconnected; };
    handlers.on_refused = [&one](ConnectRefusal) { ++one.refused; };
    one.socket = std::make_unique<ZmqSocket>(loop_, context_, options, std::move(handlers));
    ASSERT_TRUE(one.socket->connect(door_->listens_on().front()));
  }
  void connect_and_wait(const std::string& name) {
    connect(name);
    ASSERT_TRUE(until([&] { return peer(name).connected > 0; }));
  }

  // Sends it and waits until it was taken or refused.
  void send(const std::string& name, const protocol::Message& message) {
    const std::size_t before = taken_.size() + refused_.size();
    ASSERT_TRUE(peer(name).socket->send(protocol::encode(message)));
    ASSERT_TRUE(until([&] { return taken_.size() + refused_.size() > before; }));
  }
  static protocol::Hello hello(const std::string& name) {
    protocol::Hello hello;
    hello.name = name;
    return hello;
  }

  bool until(const std::function<bool()>& done) { return loop_.run_until(done, 10s); }

  Loop loop_;
  ZmqContext context_;
  test::TempDir dir_;
  const KeyPair own_ = *KeyPair::make();
  RemoteOptions options_{.listen = {},
                         .secret_key_file = dir_.file("broker.key"),
                         .allowed_keys = dir_.file("allowed_keys")};
  std::unique_ptr<RemoteDoor> door_;
  std::map<std::string, Elsewhere> peers_;
  std::vector<std::uint8_t> taken_;
  std::vector<std::string> refused_;
  std::map<std::string, int> connections_refused_;
  std::size_t cut_off_ = 0;
  std::vector<std::string> not_workers_;
  std::string joined_;
};

const protocol::Publish kPublish{"a-publisher", 1, false, {}};
const protocol::Admin kStatus{7, "status", "{}"};

TEST_F(RemoteDoorOverZmqTest, EachMayDoWhatItsRolesSay) {
  allow({{"web-3", "worker"}, {"shop", "publisher"}, {"ada", "publisher,operator"}});
  open();
  for (const char* name : {"web-3", "shop", "ada"}) connect_and_wait(name);

  send("web-3", hello("web-3"));
  send("shop", kPublish);
  send("ada", kPublish);
  send("ada", kStatus);
  EXPECT_THAT(taken_, ElementsAre(20, 1, 1, 7));
  EXPECT_THAT(refused_, IsEmpty());

  taken_.clear();
  send("shop", hello("shop"));
  send("shop", kStatus);
  send("shop", protocol::Heartbeat{});
  send("web-3", kPublish);
  send("web-3", kStatus);
  send("ada", hello("ada"));
  EXPECT_THAT(taken_, IsEmpty());
  EXPECT_THAT(refused_.at(0), HasSubstr("shop has the role publisher; this takes worker"));
  EXPECT_THAT(refused_.at(5), HasSubstr("ada has the role publisher, operator"));
  EXPECT_EQ(refused_.size(), 6u);
}

TEST_F(RemoteDoorOverZmqTest, WhoIsNotInTheListDoesNotComeIn) {
  allow({{"ada", "operator"}});
  open();
  connect("eve");
  ASSERT_TRUE(until([this] { return peer("eve").refused > 0; }));
  ASSERT_TRUE(until([this] { return connections_refused_["unknown_key"] > 0; }));
  EXPECT_EQ(peer("eve").connected, 0);
}

TEST_F(RemoteDoorOverZmqTest, AListThatChangesHoldsWithinASecondOrTwo) {
  allow({{"ada", "operator"}, {"eve", "publisher"}});
  open();
  connect_and_wait("ada");
  connect_and_wait("eve");
  connect("bob");
  send("ada", kStatus);
  send("eve", kPublish);

  allow({{"ada", "operator"}, {"bob", "publisher"}});
  ASSERT_TRUE(until([this] { return peer("eve").disconnected > 0 && peer("bob").connected > 0; }));
  ASSERT_TRUE(until([this] { return peer("eve").refused > 0; })) << "nor does it come back";
  EXPECT_EQ(cut_off_, 1u);
  EXPECT_EQ(peer("ada").disconnected, 0);
}

TEST_F(RemoteDoorOverZmqTest, ARoleThatIsTakenAwayIsGoneForOpenConnectionsToo) {
  allow({{"ada", "publisher,operator"}});
  open();
  connect_and_wait("ada");
  send("ada", kStatus);
  EXPECT_EQ(taken_.size(), 1u);
  allow({{"ada", "publisher"}});
  door_->reload();
  send("ada", kStatus);
  EXPECT_EQ(taken_.size(), 1u);
  EXPECT_EQ(refused_.size(), 1u);
  EXPECT_EQ(peer("ada").disconnected, 0);
}

TEST_F(RemoteDoorOverZmqTest, OneThatHasSaidNothingYetIsCutOffToo) {
  allow({{"ada", "operator"}, {"bob", "publisher"}, {"eve", "publisher"}});
  open();
  for (const char* name : {"ada", "bob", "eve"}) connect_and_wait(name);
  send("ada", kStatus);
  allow({{"ada", "operator"}, {"bob", "publisher"}});
  door_->reload();
  ASSERT_TRUE(until([this] { return peer("eve").disconnected > 0 && peer("eve").refused > 0; }));
  EXPECT_EQ(cut_off_, 0u) << "nobody knew whose it was";
  // Nor did anybody know that bob was not her; he is let in again by himself.
  ASSERT_TRUE(until([this] { return peer("bob").connected > 1; }));
  send("bob", kPublish);
  EXPECT_EQ(taken_.size(), 2u);
  EXPECT_EQ(peer("ada").disconnected, 0);
}

TEST_F(RemoteDoorOverZmqTest, AListThatOnlyGrowsDisturbsNobody) {
  allow({{"ada", "operator"}});
  open();
  connect_and_wait("ada");
  allow({{"ada", "operator"}, {"bob", "publisher"}});
  door_->reload();
  connect_and_wait("bob");
  EXPECT_EQ(peer("ada").disconnected, 0);
}

TEST_F(RemoteDoorOverZmqTest, AKeyHasSoManyConnectionsAndNoMore) {
  options_.connections_per_key_max = 1;
  allow({{"ada", "operator"}, {"bob", "publisher"}});
  open();
  connect_and_wait("ada");
  send("ada", kStatus);
  Elsewhere again;
  again.curve = peer("ada").curve;
  peers_["again"] = std::move(again);
  connect_and_wait("again");
  ASSERT_TRUE(peer("again").socket->send(protocol::encode(kStatus)));
  ASSERT_TRUE(until([this] { return connections_refused_["full"] > 0; }));
  connect_and_wait("bob");
  send("bob", kPublish);
  EXPECT_EQ(taken_.size(), 2u) << "what came by the second one was not taken";
  EXPECT_EQ(peer("ada").disconnected, 0);
}

TEST_F(RemoteDoorOverZmqTest, AListThatCannotBeReadChangesNothing) {
  allow({{"ada", "operator"}});
  open();
  connect_and_wait("ada");
  std::ofstream(options_.allowed_keys) << "half a li";
  door_->reload();
  send("ada", kStatus);
  std::filesystem::remove(options_.allowed_keys);
  door_->reload();
  send("ada", kStatus);
  EXPECT_EQ(taken_.size(), 2u);
}

// As when the broker has run out of descriptors for a moment.
TEST_F(RemoteDoorOverZmqTest, AListThatCouldNotBeReadForAMomentIsReadThen) {
  allow({{"ada", "operator"}, {"eve", "publisher"}});
  open();
  connect_and_wait("eve");
  send("eve", kPublish);
  allow({{"ada", "operator"}});
  rlimit former{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &former), 0);
  rlimit none_more = former;
  none_more.rlim_cur =
      3;  // not 0: then the threads of ZeroMQ may not even poll, and end the process
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none_more), 0);
  door_->reload();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &former), 0);
  EXPECT_EQ(cut_off_, 0u);
  ASSERT_TRUE(until([this] { return peer("eve").disconnected > 0; })) << "the file is as it was";
  EXPECT_EQ(cut_off_, 1u);
}

TEST_F(RemoteDoorOverZmqTest, TellsWhichKeysAreNoWorkersAnyMore) {
  allow({{"web-3", "worker"},
         {"web-4", "worker,publisher"},
         {"web-5", "worker"},
         {"ada", "operator"}});
  open();
  allow({{"web-4", "publisher"}, {"web-5", "worker,publisher"}});
  door_->reload();
  EXPECT_THAT(not_workers_, UnorderedElementsAre(peer("web-3").key(), peer("web-4").key()));
}

TEST_F(RemoteDoorOverZmqTest, AWorkersNameIsItsKeysAsLongAsItIsHere) {
  allow({{"web-3", "worker"}, {"web-4", "worker"}});
  open();
  connect_and_wait("web-3");
  connect_and_wait("web-4");
  send("web-3", hello("one"));
  joined_ = "one";
  send("web-4", hello("one"));
  send("web-4", hello("here"));
  send("web-3", hello("one"));
  EXPECT_EQ(taken_.size(), 2u);
  ASSERT_EQ(refused_.size(), 2u);
  EXPECT_THAT(refused_[0], HasSubstr("a worker named one is here already, with another key"));
}

TEST_F(RemoteDoorOverZmqTest, WhatIsNoMessageIsLeftToTheCore) {
  allow({{"shop", "publisher"}});
  open();
  connect_and_wait("shop");
  ASSERT_TRUE(peer("shop").socket->send("junk"));
  ASSERT_TRUE(until([this] { return !taken_.empty(); }));
  EXPECT_THAT(taken_, ElementsAre(0));
}

// ---- starting ----

class RemoteSettingsTest : public RemoteDoorOverZmqTest {
 protected:
  std::string opened() {
    auto door = RemoteDoor::open(loop_, options_, {});
    return door ? "opened" : door.error().message;
  }
};

TEST_F(RemoteSettingsTest, OtherMachinesNeedKeysAndTheMessageSaysWhatToRun) {
  EXPECT_TRUE(check({}));
  const auto refused =
      check({.listen = {"tcp://0.0.0.0:7400"}, .secret_key_file = {}, .allowed_keys = {}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kReject);
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("curve_secret_key_file and allowed_keys"),
                                             HasSubstr("ops/keys init")));
  EXPECT_FALSE(check({.listen = {"tcp://*:1"}, .secret_key_file = "k", .allowed_keys = {}}));
  EXPECT_FALSE(check({.listen = {"tcp://*:1"}, .secret_key_file = {}, .allowed_keys = "a"}));
  EXPECT_THAT(
      check({.listen = {"ipc:///x"}, .secret_key_file = "k", .allowed_keys = "a"}).error().message,
      HasSubstr("is no tcp://"));
}

TEST_F(RemoteSettingsTest, KeysThatOthersMayReadAreNotUsed) {
  allow({{"ada", "operator"}});
  chmod(options_.secret_key_file.c_str(), 0640);
  EXPECT_THAT(opened(), HasSubstr("chmod 600 " + options_.secret_key_file));
}

TEST_F(RemoteSettingsTest, NothingIsOpenedWithoutAKeyOrAList) {
  EXPECT_THAT(opened(), HasSubstr("[broker] allowed_keys"));
  allow({{"ada", "operator"}});
  std::filesystem::remove(options_.secret_key_file);
  EXPECT_THAT(opened(), HasSubstr("`ops/keys init` makes one"));
}

TEST_F(RemoteSettingsTest, AreLookedAtByCheckConfig) {
  Config config;
  const ConfigSpec spec = config_spec(config);
  ASSERT_TRUE(load_config(spec, {}));
  EXPECT_TRUE(check_files(config));
  config.endpoint = "tcp://10.0.0.1:7400";
  EXPECT_THAT(check_files(config).error().message, HasSubstr("`listen`, with keys"));
  config.endpoint = "ipc:///run/broker.ipc";
  config.listen = {"tcp://0.0.0.0:7400"};
  EXPECT_FALSE(check_files(config));
  config.curve_secret_key_file = options_.secret_key_file;
  config.allowed_keys = options_.allowed_keys;
  EXPECT_THAT(check_files(config).error().message, HasSubstr("allowed_keys"));
  allow({{"ada", "operator"}});
  EXPECT_TRUE(check_files(config)) << check_files(config).error().message;
}

}  // namespace
}  // namespace fanfare::broker
