// The door for other machines, of a real broker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/process.h"
#include "base/zmq_curve.h"
#include "base/zmq_socket.h"
#include "protocol/kinds.h"
#include "protocol/messages.h"
#include "tests/integration/installation.h"
#include "tests/support/temp_dir.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;

// A broker's keys, and those of one worker that may come in.
struct Keys {
  Keys() {
    EXPECT_TRUE(write_secret_key(dir.file("broker.key"), broker.secret));
    std::ofstream(dir.file("allowed_keys")) << worker->own.open.text() << " worker web-3\n";
  }
  Process::Environment settings() const {
    return {{"FANFARE_BROKER_LISTEN", "tcp://127.0.0.1:*"},
            {"FANFARE_BROKER_CURVE_SECRET_KEY_FILE", dir.file("broker.key")},
            {"FANFARE_BROKER_ALLOWED_KEYS", dir.file("allowed_keys")}};
  }
  TempDir dir;
  const KeyPair broker = *KeyPair::make();
  const std::shared_ptr<const CurveClient> worker =
      std::make_shared<const CurveClient>(CurveClient{*KeyPair::make(), broker.open});
};

class Network : public ::testing::Test {
 protected:
  // Where the broker says in its log that it takes events from elsewhere.
  std::string address() {
    std::string log, found;
    EXPECT_TRUE(eventually([&] {
      log = installation_.logs();
      const std::size_t at = log.find(" and tcp://");
      if (at == log.npos) return false;
      found = log.substr(at + 5, log.find(',', at) - at - 5);
      return true;
    })) << log;
    return found;
  }
  std::size_t workers() {
    const auto status = nlohmann::json::parse(installation_.client().admin("status", "{}").value());
    return status["workers"].size();
  }
  // Says Hello as a worker of this machine with a pid that nobody has, and waits for the Welcome.
  std::unique_ptr<ZmqSocket> join(const std::string& endpoint,
                                  std::shared_ptr<const CurveClient> curve) {
    ZmqOptions options;
    options.linger = 0ms;
    options.curve_client = std::move(curve);
    bool welcome = false;
    ZmqSocket::Handlers handlers;
    handlers.on_message = [&welcome](const PeerId&, std::string_view frame) {
      const auto kind = protocol::peek_kind(frame);
      welcome = welcome || kind == protocol::kKind<protocol::Welcome>.number;
    };
    auto socket = std::make_unique<ZmqSocket>(loop_, context_, options, std::move(handlers));
    EXPECT_TRUE(socket->connect(endpoint));
    EXPECT_TRUE(loop_.run_until([&] { return socket->connected(); }, 10s));
    protocol::Hello hello;
    hello.name = "contained";
    hello.host = this_host_id().value();
    hello.pid = 1 << 30;
    hello.slots = 1;
    EXPECT_TRUE(socket->send(protocol::encode(hello)));
    EXPECT_TRUE(loop_.run_until([&] { return welcome; }, 10s));
    return socket;
  }

  Keys keys_;
  Installation installation_{{.broker = keys_.settings(), .redis = {}}};
  Loop loop_;
  ZmqContext context_;
};

// As in a container, which has the machine's boot id and pids of its own.
TEST_F(Network, AWorkerFromElsewhereIsNotDeadBecauseNobodyHereHasItsPid) {
  {
    const auto local = join(installation_.endpoint(), nullptr);
    EXPECT_TRUE(eventually([&] { return workers() == 1; })) << "of this machine it would be";
  }
  const auto remote = join(address(), keys_.worker);
  for (int look = 0; look < 5; ++look) EXPECT_EQ(workers(), 2u);
}

}  // namespace
}  // namespace fanfare::test
