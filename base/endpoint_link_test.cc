#include "base/endpoint_link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "base/direct_door.h"
#include "base/unix_socket.h"
#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class EndpointLinkTest : public testing::Test {
 protected:
  // A broker as far as the link goes: it may have either of the two ways in, and answers each
  // message with "seen: " and the message.
  void open_zmq() {
    router_ = std::make_unique<ZmqSocket>(
        loop_, zmq_, ZmqOptions{.kind = ZmqKind::kRouter, .linger = 0ms},
        ZmqSocket::Handlers{.on_message = [this](const PeerId& peer, std::string_view frame) {
          by_zmq_.emplace_back(frame);
          EXPECT_TRUE(router_->send(peer, "seen: " + std::string(frame)));
        }});
    ASSERT_TRUE(router_->bind(endpoint_));
  }
  void open_direct() {
    auto opened =
        DirectDoor::open(loop_, endpoint_, {.frame_bytes_max = 1 << 20, .peer_tag = 'd'},
                         {.on_message =
                              [this](const PeerId& peer, std::string_view frame) {
                                direct_.emplace_back(frame);
                                EXPECT_TRUE(door_->send(peer, "seen: " + std::string(frame)));
                              },
                          .on_stranger = {}});
    ASSERT_TRUE(opened) << opened.error().message;
    door_ = *std::move(opened);
  }
  void open_link() {
    ZmqOptions options;
    options.reconnect_min = 5ms;
    options.reconnect_max = 20ms;
    options.handshake_timeout = 100ms;
    options.message_bytes_max = 1 << 20;
    link_ = std::make_unique<EndpointLink>(
        loop_, zmq_, options,
        EndpointLink::Handlers{
            .on_message = [this](std::string_view frame) { answers_.emplace_back(frame); },
            .on_connected = [this] { ++connected_; },
            .on_disconnected = [this] { ++disconnected_; },
            .on_writable = [this] { ++writable_; },
            .on_malformed = {},
            .on_refused = {}});
    ASSERT_TRUE(link_->connect(endpoint_));
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done, 10s); }
  bool until_connected(int times = 1) {
    return until([&] { return connected_ == times && link_->connected(); });
  }
  void ask(const std::string& what) {
    const std::size_t before = answers_.size();
    ASSERT_TRUE(link_->send(std::string(what)));
    ASSERT_TRUE(until([&] { return answers_.size() > before; }));
    EXPECT_EQ(answers_.back(), "seen: " + what);
  }

  test::TempDir dir_;
  std::string endpoint_ = "ipc://" + dir_.file("broker.ipc");
  Loop loop_;
  ZmqContext zmq_;
  std::unique_ptr<ZmqSocket> router_;
  std::unique_ptr<DirectDoor> door_;
  std::unique_ptr<EndpointLink> link_;
  std::vector<std::string> by_zmq_, direct_, answers_;
  int connected_ = 0, disconnected_ = 0, writable_ = 0;
};

using EndpointLinkZmqTest = EndpointLinkTest;

TEST_F(EndpointLinkTest, GoesPastZeroMqWhereThereIsADirectDoor) {
  open_direct();
  open_link();
  EXPECT_FALSE(link_->connected()) << "not before the other end has greeted";
  EXPECT_EQ(link_->send("too early").error().kind, ErrorKind::kRetryLater);
  ASSERT_TRUE(until_connected());
  EXPECT_TRUE(link_->direct());
  ask("a question");
  EXPECT_THAT(direct_, ElementsAre("a question"));
}

TEST_F(EndpointLinkZmqTest, TakesTheDirectDoorWhereBothAreOpen) {
  open_direct();
  open_zmq();
  open_link();
  ASSERT_TRUE(until_connected());
  ask("a question");
  EXPECT_THAT(direct_, ElementsAre("a question"));
}

TEST_F(EndpointLinkZmqTest, UsesZeroMqWhereThereIsNothingElse) {
  open_zmq();
  open_link();
  ASSERT_TRUE(until_connected());
  EXPECT_FALSE(link_->direct());
  ask("a question");
  EXPECT_THAT(by_zmq_, ElementsAre("a question"));
}

TEST_F(EndpointLinkZmqTest, UsesZeroMqWhereTheDirectDoorIsAKilledProcessLeftover) {
  ASSERT_TRUE(listen_unix(dir_.file("broker.ipc.direct"), UnixKind::kStream));
  open_zmq();
  open_link();
  ASSERT_TRUE(until_connected());
  EXPECT_FALSE(link_->direct());
}

TEST_F(EndpointLinkTest, WaitsForWhoeverComesAndTakesTheDirectDoorThen) {
  open_link();
  loop_.run_until([] { return false; }, 50ms);
  EXPECT_EQ(connected_, 0);
  open_direct();
  ASSERT_TRUE(until_connected());
  EXPECT_TRUE(link_->direct());
}

TEST_F(EndpointLinkTest, TellsOfAnEndAndConnectsAgain) {
  open_direct();
  open_link();
  ASSERT_TRUE(until_connected());
  door_.reset();
  ASSERT_TRUE(until([&] { return disconnected_ == 1; }));
  EXPECT_FALSE(link_->connected());
  EXPECT_EQ(link_->send("to nobody").error().kind, ErrorKind::kRetryLater);
  open_direct();
  ASSERT_TRUE(until_connected(2));
  ask("again");
}

TEST_F(EndpointLinkZmqTest, ChoosesAnewForEachConnection) {
  open_zmq();
  open_link();
  ASSERT_TRUE(until_connected());
  router_.reset();
  ASSERT_TRUE(until([&] { return disconnected_ == 1; }));
  open_direct();
  open_zmq();
  ASSERT_TRUE(until_connected(2));
  EXPECT_TRUE(link_->direct());
  door_.reset();
  ASSERT_TRUE(until([&] { return disconnected_ == 2; }));
  ASSERT_TRUE(until_connected(3));
  EXPECT_FALSE(link_->direct());
  ask("by ZeroMQ");
}

// As a broker that is stopped: its kernel takes connections, and it says nothing.
TEST_F(EndpointLinkTest, LeavesOneThatDoesNotGreetAndTriesAgain) {
  const std::string path = dir_.file("broker.ipc.direct");
  auto mute = listen_unix(path, UnixKind::kStream);
  ASSERT_TRUE(mute);
  open_link();
  loop_.run_until([] { return false; }, 300ms);
  EXPECT_EQ(connected_, 0);
  EXPECT_EQ(disconnected_, 0) << "it never was";
  std::filesystem::remove(path);  // it stays, and says nothing to whoever waits there
  open_direct();
  ASSERT_TRUE(until_connected());
}

// As a broker of a later release, whose frames are others.
TEST_F(EndpointLinkZmqTest, UsesZeroMqWhereTheDoorGreetsInAnotherWay) {
  const auto strange = listen_unix(dir_.file("broker.ipc.direct"), UnixKind::kStream);
  ASSERT_TRUE(strange);
  const FdWatch greet(loop_, strange->get(), [&] {
    const Fd socket(::accept(strange->get(), nullptr, nullptr));
    const std::string words("\x10\0\0\0fanfare frames 2", 20);
    EXPECT_EQ(::write(socket.get(), words.data(), words.size()), 20);
  });
  open_zmq();
  open_link();
  ASSERT_TRUE(until_connected());
  EXPECT_FALSE(link_->direct());
  ask("by ZeroMQ");
}

// Whoever listened at the endpoint went before he was met, as in a restart.
TEST_F(EndpointLinkZmqTest, DoesNotStayWithZeroMqForOneThatWasNeverMet) {
  auto mute = listen_unix(dir_.file("broker.ipc"), UnixKind::kStream);
  ASSERT_TRUE(mute);
  open_link();
  loop_.run_until([] { return false; }, 20ms);
  EXPECT_EQ(connected_, 0);
  open_direct();
  ASSERT_TRUE(until_connected());
  EXPECT_TRUE(link_->direct());
}

TEST_F(EndpointLinkTest, TellsWhenAPeerThatDidNotReadDoesAgain) {
  open_direct();
  open_link();
  ASSERT_TRUE(until_connected());
  const std::string large(1 << 20, 'x');
  bool refused = false;
  for (int n = 0; n < 4 && !refused; ++n) refused = !link_->send(std::string(large));
  ASSERT_TRUE(refused) << "the loop has not run: nobody reads";
  EXPECT_TRUE(until([&] { return writable_ > 0; }));
  EXPECT_TRUE(link_->send("again"));
}

TEST_F(EndpointLinkTest, SaysWhichAddressIsNone) {
  EndpointLink link(loop_, zmq_, {}, {});
  const auto connected = link.connect("carrier pigeon");
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().kind, ErrorKind::kFatal);
}

TEST_F(EndpointLinkTest, LeavesAMessageThatIsTooLargeWithWhoeverSendsIt) {
  open_direct();
  open_link();
  ASSERT_TRUE(until_connected());
  std::string large((1 << 20) + 1, 'x');
  const auto sent = link_->send(std::move(large));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kReject);
  EXPECT_EQ(large.size(), (1u << 20) + 1);  // NOLINT(bugprone-use-after-move): that is the promise
}

// In a folder that others can write to, somebody may put a door of his own beside the endpoint.
TEST_F(EndpointLinkZmqTest, DoesNotTakeADoorOfSomebodyElses) {
  if (::geteuid() != 0) GTEST_SKIP() << "wants to be two users";
  std::filesystem::permissions(dir_.path(), std::filesystem::perms::all);
  open_zmq();
  int told[2];
  ASSERT_EQ(::pipe(told), 0);
  const pid_t somebody = ::fork();
  if (somebody == 0) {
    const bool fine = ::setgid(65534) == 0 && ::setuid(65534) == 0;
    const auto door = listen_unix(dir_.file("broker.ipc.direct"), UnixKind::kStream);
    const char word = fine && door ? '1' : '0';
    (void)!::write(told[1], &word, 1);
    ::pause();
    ::_exit(0);
  }
  char word = 0;
  ASSERT_EQ(::read(told[0], &word, 1), 1);
  EXPECT_EQ(word, '1');
  ::close(told[0]);
  ::close(told[1]);
  open_link();
  EXPECT_TRUE(until_connected());
  EXPECT_FALSE(link_->direct());
  ::kill(somebody, SIGKILL);
  ::waitpid(somebody, nullptr, 0);
}

}  // namespace
}  // namespace fanfare
