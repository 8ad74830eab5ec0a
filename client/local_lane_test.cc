// Callers on the local lane, among workers and a broker played here.
#include "client/local_lane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "base/direct_door.h"
#include "client/client.h"
#include "tests/support/temp_dir.h"

namespace fanfare::client {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string record_with(const std::string& output) {
  protocol::ResultRecord record;
  record.output = output;
  return protocol::pack(record);
}

// A worker's end: answers as the test says.
class FakeWorker {
 public:
  FakeWorker(const test::TempDir& dir, int number, bool greets = true) : greets_(greets) {
    std::filesystem::create_directories(dir.file("local"));
    const std::string path = dir.file("local/broker.ipc." + std::to_string(number));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    listening_ = Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(path.c_str());
    EXPECT_EQ(::bind(listening_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address),
              0);
    EXPECT_EQ(::listen(listening_.get(), 8), 0);
  }
  // Takes what has come.
  std::vector<protocol::Invoke> take() {
    if (!caller_) {
      caller_ = Fd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (caller_ && greets_) {
        EXPECT_TRUE(protocol::send_local(caller_.get(), protocol::encode(protocol::Local{})));
      }
    }
    std::vector<protocol::Invoke> all;
    while (caller_) {
      auto packet = protocol::receive_local(caller_.get(), buffer_);
      if (!packet) break;
      all.push_back(std::get<protocol::Invoke>(protocol::decode(packet->frame).value()));
    }
    return all;
  }
  void answer(std::uint64_t request, const std::string& output) {
    EXPECT_TRUE(protocol::send_local(
        caller_.get(), protocol::encode(protocol::Invoked{request, record_with(output)})));
  }
  void send(const protocol::Message& message) {
    EXPECT_TRUE(protocol::send_local(caller_.get(), protocol::encode(message)));
  }
  void not_here(std::uint64_t request) {
    EXPECT_TRUE(protocol::send_not_here(caller_.get(), request));
  }
  void die() {
    caller_.reset();
    listening_.reset();
  }

 private:
  bool greets_;
  Fd listening_, caller_;
  std::string buffer_ = std::string(protocol::kLocalPacketMax, '\0');
};

// A client, and a broker that answers each Invoke with "by the broker".
struct Host {
  explicit Host(bool local = true) : local_(local) {
    DirectDoor::Handlers handlers;
    handlers.on_message = [this](const PeerId& peer, std::string_view frame) {
      auto invoke = std::get<protocol::Invoke>(protocol::decode(frame).value());
      ASSERT_TRUE(door->send(
          peer, protocol::encode(protocol::Invoked{invoke.request, record_with("by the broker")})));
      by_broker.push_back(std::move(invoke));
    };
    auto opened = DirectDoor::open(loop, endpoint, {}, std::move(handlers));
    EXPECT_TRUE(opened);
    door = *std::move(opened);
  }
  void open() {
    auto opened = Client::open(loop, zmq, {.broker = endpoint, .local = local_});
    ASSERT_TRUE(opened);
    client = *std::move(opened);
  }
  // Invokes; `worker` does its part each turn, until there is an answer.
  std::string invoke(const std::function<void()>& worker, const std::string& function = "f",
                     const std::string& data = "data", Duration timeout = 5s) {
    protocol::Event event;
    event.source = "/tests";
    event.type = "function.invoked";
    event.data = data;
    std::optional<Result<protocol::ResultRecord>> answer;
    client->invoke(function, event, std::chrono::duration_cast<std::chrono::milliseconds>(timeout),
                   [&](Result<protocol::ResultRecord> record) { answer = std::move(record); });
    EXPECT_FALSE(answer) << "never from within the call";
    Timer poll(loop, [] {});
    poll.start_every(1ms);
    loop.run_until(
        [&] {
          if (!answer && worker) worker();
          return answer.has_value();
        },
        10s);
    if (!answer) return "no answer";
    return *answer ? (*answer)->output : (*answer).error().message;
  }
  test::TempDir dir;
  std::string endpoint = "ipc://" + dir.file("broker.ipc");
  Loop loop;
  ZmqContext zmq;
  std::unique_ptr<DirectDoor> door;
  std::vector<protocol::Invoke> by_broker;
  std::unique_ptr<Client> client;

 private:
  bool local_;
};

TEST(LocalLane, AsksAWorkerOfThisHostAndTheBrokerHearsNothing) {
  Host host;
  FakeWorker worker(host.dir, 1);
  host.open();
  const std::string large(300'000, 'x');
  for (const std::string& data : {std::string("data"), large}) {
    EXPECT_EQ(host.invoke(
                  [&] {
                    for (const auto& call : worker.take()) {
                      EXPECT_EQ(call.function, "f");
                      EXPECT_EQ(protocol::unpack_event(call.packed_event)->data, data);
                      worker.answer(call.request, "by the worker");
                    }
                  },
                  "f", data),
              "by the worker");
  }
  EXPECT_TRUE(host.by_broker.empty());
}

// The control.
TEST(LocalLane, IsNotLookedForWhereItIsNotWanted) {
  Host host(false);
  FakeWorker worker(host.dir, 1);
  host.open();
  EXPECT_EQ(host.invoke([&] { EXPECT_TRUE(worker.take().empty()); }), "by the broker");
}

TEST(LocalLane, FallsBackToTheBrokerWhereThereIsNoWorkerOrItDoesNotGreet) {
  Host host;
  host.open();
  EXPECT_EQ(host.invoke({}), "by the broker");
  Host mute;
  FakeWorker silent(mute.dir, 1, false);
  mute.open();
  EXPECT_EQ(mute.invoke([&] { EXPECT_TRUE(silent.take().empty()); }), "by the broker");
  EXPECT_EQ(mute.by_broker.size(), 1u);
}

TEST(LocalLane, GoesToTheBrokerWithWhatIsNotHereAndAsksAgainLater) {
  Host host;
  FakeWorker worker(host.dir, 1);
  host.open();
  int asked = 0;
  const auto not_here = [&] {
    for (const auto& call : worker.take()) {
      ++asked;
      worker.not_here(call.request);
    }
  };
  for (int n = 0; n < 30; ++n) EXPECT_EQ(host.invoke(not_here), "by the broker");
  EXPECT_GE(asked, 1);
  EXPECT_LT(asked, 12) << "it has just said so, again and again";
  EXPECT_LE(host.by_broker.at(0).timeout_ms, 5000u);
  host.loop.run_until([] { return false; }, LocalLane::kRestMax);
  EXPECT_EQ(host.invoke([&] {
    for (const auto& call : worker.take()) worker.answer(call.request, "now it is");
  }),
            "now it is");
  const auto other = [&] {
    for (const auto& call : worker.take()) worker.answer(call.request, call.function);
  };
  EXPECT_EQ(host.invoke(other, "g"), "g") << "of others nothing was said";
}

TEST(LocalLane, SaysWhatTheBrokerSaysWhenTheWorkerVanishes) {
  Host host;
  FakeWorker worker(host.dir, 1);
  host.open();
  EXPECT_EQ(host.invoke([&] {
    if (!worker.take().empty()) worker.die();
  }),
            "unavailable: the worker that ran the function vanished; it may or may not have "
            "finished");
  EXPECT_TRUE(host.by_broker.empty()) << "it may have run";
  EXPECT_EQ(host.invoke({}), "by the broker");
}

TEST(LocalLane, AsksNothingMoreOfAWorkerThatStandsStillUntilItSpeaks) {
  Host host;
  FakeWorker worker(host.dir, 1);
  host.open();
  std::vector<protocol::Invoke> taken;
  const auto stands_still = [&] {
    for (auto& call : worker.take()) taken.push_back(std::move(call));
  };
  EXPECT_THAT(host.invoke(stands_still, "f", "data", 10ms), HasSubstr("did not answer in time"));
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(host.invoke(stands_still), "by the broker");
  EXPECT_EQ(taken.size(), 1u);
  worker.answer(taken[0].request, "late");
  host.loop.run_until([] { return false; }, 5ms);
  EXPECT_EQ(host.invoke([&] {
    for (const auto& call : worker.take()) worker.answer(call.request, "it goes on");
  }),
            "it goes on");
}

TEST(LocalLane, PassesOnWhatTheWorkerRefuses) {
  Host host;
  FakeWorker worker(host.dir, 1);
  host.open();
  EXPECT_EQ(host.invoke([&] {
    for (const auto& call : worker.take()) {
      worker.send(protocol::Refused{call.request, protocol::Refusal::kTimeout,
                                    "the function did not finish in time"});
    }
  }),
            "timeout: the function did not finish in time");
}

TEST(LocalLane, ReadsOverWhatItHasNotAskedFor) {
  Host host;
  FakeWorker worker(host.dir, 1);
  host.open();
  EXPECT_THAT(host.invoke([&] {
    for (const auto& call : worker.take()) {
      worker.send(protocol::Admin{call.request, "nonsense", ""});
      worker.answer(call.request + 100, "to nobody");
      worker.answer(call.request, "and then the answer");
    }
  }),
              "and then the answer");
}

}  // namespace
}  // namespace fanfare::client
