// What the broker says to peers that send rubbish and to people who set it up wrongly, and that it
// goes on serving.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <random>

#include "base/zmq_socket.h"
#include "cli/child_output.h"
#include "protocol/messages.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using protocol::Refusal;
using ::testing::HasSubstr;

// A peer that may send any bytes.
class RawPeer {
 public:
  explicit RawPeer(const std::string& endpoint) {
    socket_ = std::make_unique<ZmqSocket>(
        loop_, context_, ZmqOptions{.kind = ZmqKind::kDealer, .message_bytes_max = 64 << 20},
        ZmqSocket::Handlers{.on_message = [this](const PeerId&, std::string_view frame) {
          answers_.emplace_back(frame);
        }});
    const auto connected = socket_->connect(endpoint);
    EXPECT_TRUE(connected);
    loop_.run_until([this] { return socket_->connected(); }, 10s);
  }

  // What the broker refuses with; nothing if it says something else or nothing at all.
  std::optional<protocol::Refused> refusal(std::string frame) {
    answers_.clear();
    send(std::move(frame));
    loop_.run_until([this] { return !answers_.empty(); }, 10s);
    if (answers_.empty()) return std::nullopt;
    const auto message = protocol::decode(answers_.front());
    if (!message) return std::nullopt;
    const auto* refused = std::get_if<protocol::Refused>(&*message);
    return refused ? std::optional(*refused) : std::nullopt;
  }
  void send(std::string frame) {
    const auto sent = socket_->send(std::move(frame));
    EXPECT_TRUE(sent);
  }
  bool wait_disconnected() {
    return loop_.run_until([this] { return !socket_->connected(); }, 10s);
  }

 private:
  Loop loop_;
  ZmqContext context_;
  std::vector<std::string> answers_;
  std::unique_ptr<ZmqSocket> socket_;
};

class BadFrames : public ::testing::Test {
 protected:
  void SetUp() override { installation_.deploy("builtin/noop"); }
  void still_serves() {
    const auto id = installation_.publish("noop", "x");
    EXPECT_EQ(installation_.result("noop", id).status, protocol::Status::kSucceeded);
  }
  Installation installation_;
  RawPeer peer_{installation_.endpoint()};
};

std::string a_publish() {
  protocol::Event event;
  event.source = "/tests";
  event.type = "noop";
  protocol::Publish publish;
  publish.client = std::string(32, 'a');
  publish.sequence = 1;
  publish.packed_events = {protocol::pack(event)};
  return protocol::encode(publish);
}

TEST_F(BadFrames, GarbageIsRefusedAsMalformed) {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    std::string frame(1 + random() % 300, '\0');
    for (char& c : frame) c = static_cast<char>(random());
    // A frame that happens to say another version is refused for that.
    const auto refused = peer_.refusal(frame);
    ASSERT_TRUE(refused) << "frame " << i;
    EXPECT_TRUE(refused->code == Refusal::kMalformed || refused->code == Refusal::kVersion);
    EXPECT_FALSE(refused->message.empty());
    EXPECT_EQ(refused->message.find('\n'), std::string::npos);
  }
  still_serves();
}

TEST_F(BadFrames, EveryTruncationOfAPublishIsRefusedAsMalformed) {
  const std::string whole = a_publish();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto refused = peer_.refusal(whole.substr(0, length));
    ASSERT_TRUE(refused) << length << " bytes of " << whole.size();
    EXPECT_EQ(refused->code, Refusal::kMalformed) << length << ": " << refused->message;
  }
  still_serves();
}

TEST_F(BadFrames, HeadersThatPromiseMoreThanThereIsAreRefused) {
  const std::string version_and_publish = {'\x96', '\x01', '\x01'};
  for (const std::string& bomb :
       {version_and_publish + "\xdd\xff\xff\xff\xff", version_and_publish + "\xdf\xff\xff\xff\xff",
        version_and_publish + "\xc6\xff\xff\xff\xff", std::string("\xdd\xff\xff\xff\xff"),
        version_and_publish + std::string(100'000, '\x91')}) {
    const auto refused = peer_.refusal(bomb);
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->code, Refusal::kMalformed) << refused->message;
  }
  still_serves();
}

TEST_F(BadFrames, AnotherVersionIsToldBothVersions) {
  std::string frame = a_publish();
  frame[1] = 9;
  const auto refused = peer_.refusal(frame);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, Refusal::kVersion) << refused->message;
  EXPECT_THAT(refused->message, HasSubstr("9"));
  EXPECT_THAT(refused->message, HasSubstr("1"));
  still_serves();
}

TEST_F(BadFrames, AnUnknownFunctionAndAnUnknownVerbAreNamed) {
  const auto invoked = installation_.client().invoke("nobody", {.source = "/t", .type = "t"}, 5s);
  ASSERT_FALSE(invoked);
  EXPECT_THAT(invoked.error().message, HasSubstr("nobody"));
  const auto asked = installation_.client().admin("dance", "{}");
  ASSERT_FALSE(asked);
  EXPECT_THAT(asked.error().message, HasSubstr("dance"));
  const auto deployed = installation_.client().admin("deploy", "not JSON");
  EXPECT_FALSE(deployed);
  still_serves();
}

TEST_F(BadFrames, APeerThatSendsMoreThanAFrameMayHoldIsCutOff) {
  peer_.send(std::string(protocol::kMessageBytesMax + 1, 'x'));
  EXPECT_TRUE(peer_.wait_disconnected());
  still_serves();
}

TEST_F(BadFrames, AnEventOverTheLimitIsTooLarge) {
  protocol::Event event{.source = "/tests", .type = "noop"};
  event.data = std::string((1 << 20) + 1, 'x');
  const auto receipt = installation_.client().publish(event).get();
  ASSERT_FALSE(receipt);
  EXPECT_THAT(receipt.error().message, HasSubstr("too_large"));
  still_serves();
}

// What a broker that cannot start says, and how it ends.
cli::ChildOutput run_broker(const std::vector<std::string>& settings) {
  std::vector<std::string> command{"/usr/bin/env"};
  command.insert(command.end(), settings.begin(), settings.end());
  command.push_back(FANFARE_BIN_DIR "/fanfare-broker");
  auto ended = cli::run_and_capture(command, 20s);
  if (!ended) throw std::runtime_error(ended.error().message);
  return *std::move(ended);
}

void expect_lines(const cli::ChildOutput& ended, int lines, int exit_code,
                  const std::string& saying) {
  EXPECT_EQ(ended.exit_code, exit_code) << ended.how << ": " << ended.output;
  EXPECT_THAT(ended.output, HasSubstr(saying));
  EXPECT_EQ(std::count(ended.output.begin(), ended.output.end(), '\n'), lines) << ended.output;
}

void expect_one_line(const cli::ChildOutput& ended, int exit_code, const std::string& saying) {
  expect_lines(ended, 1, exit_code, saying);
}

TEST(BadSetup, ABrokerRefusesARedisThatEvicts) {
  RedisServer redis({.maxmemory = "64mb", .maxmemory_policy = "allkeys-lru"});
  TempDir dir;
  expect_one_line(run_broker({"FANFARE_BROKER_REDIS=unix://" + redis.socket_path(),
                              "FANFARE_BROKER_ENDPOINT=ipc://" + dir.file("b.ipc")}),
                  3, "noeviction");
}

TEST(BadSetup, ABrokerRefusesARedisWithoutAJournalFile) {
  RedisServer redis({.append_only = false});
  TempDir dir;
  expect_one_line(run_broker({"FANFARE_BROKER_REDIS=unix://" + redis.socket_path(),
                              "FANFARE_BROKER_ENDPOINT=ipc://" + dir.file("b.ipc")}),
                  3, "appendonly yes");
}

TEST(BadSetup, ABrokerNamesTheRedisThatIsNotThereBeforeItWaitsForIt) {
  TempDir dir;
  const auto ended = run_broker({"FANFARE_BROKER_REDIS=unix://" + dir.file("nobody.sock"),
                                 "FANFARE_BROKER_ENDPOINT=ipc://" + dir.file("b.ipc")});
  expect_lines(ended, 2, 3, "waiting for Redis at unix://" + dir.file("nobody.sock") + "\n");
  EXPECT_THAT(ended.output, HasSubstr("cannot reach Redis"));
}

TEST(BadSetup, ABrokerNamesAnEndpointThatItCannotUse) {
  RedisServer redis;
  TempDir dir;
  const std::string redis_setting = "FANFARE_BROKER_REDIS=unix://" + redis.socket_path();
  expect_one_line(
      run_broker({redis_setting, "FANFARE_BROKER_ENDPOINT=ipc://" + dir.file("missing/b.ipc")}), 3,
      "missing/b.ipc");
  expect_one_line(run_broker({redis_setting, "FANFARE_BROKER_ENDPOINT=tcp://0.0.0.0:7400"}), 2,
                  "not of this machine alone");
}

TEST(BadSetup, ASecondBrokerOnAnEndpointInUseEndsAndTheFirstServesOn) {
  Installation installation;
  installation.deploy("builtin/noop");
  expect_one_line(run_broker({"FANFARE_BROKER_REDIS=unix://" + installation.redis().socket_path(),
                              "FANFARE_BROKER_ENDPOINT=" + installation.endpoint()}),
                  3, "broker.ipc");
  const auto id = installation.publish("noop", "x");
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
}

TEST(BadSetup, ATcpPortInUseIsNamed) {
  RedisServer redis;
  Loop loop;
  ZmqContext context;
  ZmqSocket squatter(loop, context, {.kind = ZmqKind::kRouter},
                     {.on_message = [](const PeerId&, std::string_view) {}});
  ASSERT_TRUE(squatter.bind("tcp://127.0.0.1:*"));
  const std::string taken = squatter.bound_endpoint();
  expect_one_line(run_broker({"FANFARE_BROKER_REDIS=unix://" + redis.socket_path(),
                              "FANFARE_BROKER_ENDPOINT=" + taken}),
                  3, taken);
}

TEST(BadSetup, AnUnknownSettingEndsItAndNamesTheNearest) {
  expect_one_line(run_broker({"FANFARE_BROKER_DURABILTY=fsync"}), 2, "DURABILITY");
}

TEST(BadSetup, ADataDirectoryThatCannotBeWrittenIsNamed) {
  TempDir dir;
  std::ofstream(dir.file("file")) << "not a folder";
  const auto ended = cli::run_and_capture(
      {FANFARE_BIN_DIR "/fanfare", "--data", dir.file("file/data"), "up"}, 20s);
  ASSERT_TRUE(ended);
  expect_one_line(*ended, 2, dir.file("file/data"));
}

}  // namespace
}  // namespace fanfare::test
