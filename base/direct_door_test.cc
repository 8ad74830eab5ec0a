#include "base/direct_door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

#include "base/unix_socket.h"
#include "tests/support/temp_dir.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(DirectPath, IsBesideAnIpcEndpointAndNowhereElse) {
  EXPECT_EQ(direct_path("ipc:///run/fanfare/broker.ipc"), "/run/fanfare/broker.ipc.direct");
  EXPECT_EQ(direct_path("tcp://127.0.0.1:7400"), "");
  EXPECT_EQ(direct_path("ipc://@abstract"), "");
  EXPECT_EQ(direct_path("ipc://*"), "");
  EXPECT_EQ(direct_path("ipc:///" + std::string(99, 'x')), "/" + std::string(99, 'x') + ".direct");
  EXPECT_EQ(direct_path("ipc:///" + std::string(100, 'x')), "") << "a socket's name has 107 bytes";
}

class DirectDoorTest : public testing::Test {
 protected:
  // One who connects, with what came for him.
  struct Caller {
    std::unique_ptr<FrameStream> stream;
    std::vector<std::string> got;
    bool ended = false;
  };

  Result<std::unique_ptr<DirectDoor>> try_to_open() {
    return DirectDoor::open(
        loop_, endpoint_, {.frame_bytes_max = 1 << 20, .peer_tag = 'd', .greeting_patience = 50ms},
        {.on_message = [this](const PeerId& peer,
                              std::string_view frame) { got_[std::string(frame)] = peer; },
         .on_stranger = [this](const PeerId&) { ++strangers_; }});
  }
  void open() {
    auto opened = try_to_open();
    ASSERT_TRUE(opened) << opened.error().message;
    door_ = *std::move(opened);
  }
  std::unique_ptr<Caller> call() {
    auto caller = std::make_unique<Caller>();
    auto socket = connect_unix(path_, UnixKind::kStream);
    EXPECT_TRUE(socket);
    if (!socket) return caller;
    caller->stream = std::make_unique<FrameStream>(
        loop_, *std::move(socket), 1 << 20, buffers_,
        FrameStream::Handlers{
            .on_greeted = {},
            .on_frame = [c = caller.get()](std::string_view frame) { c->got.emplace_back(frame); },
            .on_writable = {},
            .on_end = [c = caller.get()](FrameStream::End) { c->ended = true; }});
    return caller;
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done, 10s); }

  test::TempDir dir_;
  std::string endpoint_ = "ipc://" + dir_.file("broker.ipc");
  std::string path_ = dir_.file("broker.ipc.direct");
  Loop loop_;
  FrameBuffers buffers_;
  std::map<std::string, PeerId> got_;
  int strangers_ = 0;
  std::unique_ptr<DirectDoor> door_;
};

TEST_F(DirectDoorTest, TellsItsCallersApartAndAnswersEach) {
  open();
  const auto one = call(), other = call();
  ASSERT_TRUE(one->stream->send("from one"));
  ASSERT_TRUE(other->stream->send("from the other"));
  ASSERT_TRUE(until([&] { return got_.size() == 2; }));
  EXPECT_NE(got_["from one"], got_["from the other"]);
  EXPECT_EQ(got_["from one"].value()[0], 'd');
  ASSERT_TRUE(door_->send(got_["from the other"], "to the other"));
  ASSERT_TRUE(door_->send(got_["from one"], "to one"));
  ASSERT_TRUE(until([&] { return !one->got.empty() && !other->got.empty(); }));
  EXPECT_THAT(one->got, ElementsAre("to one"));
  EXPECT_THAT(other->got, ElementsAre("to the other"));
}

TEST_F(DirectDoorTest, TellsWhoeverSendsToACallerThatHasGone) {
  open();
  auto caller = call();
  ASSERT_TRUE(caller->stream->send("here"));
  ASSERT_TRUE(until([&] { return got_.size() == 1; }));
  caller.reset();
  ASSERT_TRUE(until([&] { return door_->connections() == 0; }));
  const auto sent = door_->send(got_["here"], "too late");
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().kind, ErrorKind::kStale);
  EXPECT_EQ(door_->send(PeerId{"dnonsense"}, "").error().kind, ErrorKind::kStale);
  EXPECT_EQ(door_->send(PeerId{}, "").error().kind, ErrorKind::kStale);
  EXPECT_EQ(strangers_, 0);
}

TEST_F(DirectDoorTest, LetsAStrangerGoAndKeepsTheOthers) {
  open();
  const auto caller = call();
  const auto stranger = connect_unix(path_, UnixKind::kStream);
  ASSERT_TRUE(stranger);
  ASSERT_EQ(::write(stranger->get(), "GET / HTTP/1.1\r\n\r\n", 18), 18);
  ASSERT_TRUE(until([&] { return strangers_ == 1; }));
  ASSERT_TRUE(caller->stream->send("still here"));
  ASSERT_TRUE(until([&] { return got_.contains("still here"); }));
  EXPECT_EQ(door_->connections(), 1u);
}

TEST_F(DirectDoorTest, LetsWhoeverDoesNotGreetGoAndKeepsWhoHas) {
  open();
  const auto caller = call();
  const auto silent = connect_unix(path_, UnixKind::kStream);
  ASSERT_TRUE(silent);
  ASSERT_TRUE(until([&] { return door_->connections() == 2; }));
  ASSERT_TRUE(until([&] { return strangers_ == 1; }));
  EXPECT_EQ(door_->connections(), 1u);
  ASSERT_TRUE(caller->stream->send("still here"));
  EXPECT_TRUE(until([&] { return got_.contains("still here"); }));
}

// A broker's endpoint may be closed to others after it was made.
TEST_F(DirectDoorTest, FollowsTheEndpointsModeForThoseOfOtherUsers) {
  if (::geteuid() != 0) GTEST_SKIP() << "wants to be two users";
  std::filesystem::permissions(dir_.path(), std::filesystem::perms::all);
  const mode_t before = ::umask(0);
  open();
  std::ofstream(dir_.file("broker.ipc")) << "the endpoint, as far as rights go";
  ::umask(before);
  const auto as_nobody = [&] {
    const pid_t nobody = ::fork();
    if (nobody == 0) {
      const bool other = ::setgid(65534) == 0 && ::setuid(65534) == 0;
      const auto socket = connect_unix(path_, UnixKind::kStream);
      pollfd greeting{.fd = socket ? socket->get() : -1, .events = POLLIN, .revents = 0};
      char byte = 0;
      const bool greeted =
          socket && ::poll(&greeting, 1, 10'000) == 1 && ::read(socket->get(), &byte, 1) == 1;
      ::_exit(!other ? 2 : greeted ? 1 : 0);
    }
    int status = 0;
    Timer look(loop_, [] {});
    look.start_every(5ms);
    EXPECT_TRUE(until([&] { return ::waitpid(nobody, &status, WNOHANG) == nobody; }));
    return WEXITSTATUS(status);
  };
  ASSERT_EQ(::chmod(dir_.file("broker.ipc").c_str(), 0777), 0);
  EXPECT_EQ(as_nobody(), 1);
  ASSERT_EQ(::chmod(dir_.file("broker.ipc").c_str(), 0770), 0);
  EXPECT_EQ(as_nobody(), 0);
}

TEST_F(DirectDoorTest, KnowsWhenAnotherHasTakenItsName) {
  open();
  EXPECT_TRUE(door_->has_its_name());
  std::filesystem::remove(path_);
  EXPECT_FALSE(door_->has_its_name());
  const auto other = listen_unix(path_, UnixKind::kStream);
  EXPECT_FALSE(door_->has_its_name());
  door_.reset();
  EXPECT_TRUE(somebody_listens(path_, UnixKind::kStream)) << "the other's is left alone";
}

TEST_F(DirectDoorTest, TakesOverWhatAKilledProcessHasLeft) {
  ASSERT_TRUE(listen_unix(path_, UnixKind::kStream)) << "and nobody listens any more";
  ASSERT_TRUE(std::filesystem::exists(path_));
  open();
  const auto caller = call();
  ASSERT_TRUE(caller->stream->send("here"));
  EXPECT_TRUE(until([&] { return got_.contains("here"); }));
}

TEST_F(DirectDoorTest, LeavesTheDoorOfAProcessThatLivesAlone) {
  open();
  const auto second = try_to_open();
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("another process listens there"));
  const auto caller = call();
  ASSERT_TRUE(caller->stream->send("here"));
  EXPECT_TRUE(until([&] { return got_.contains("here"); }));
}

TEST_F(DirectDoorTest, RemovesNoFileThatIsNoSocket) {
  std::ofstream(path_) << "somebody's";
  const auto opened = try_to_open();
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("move it away"));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(DirectDoorTest, LeavesNothingBehindAndNoOthersFileAway) {
  open();
  door_.reset();
  EXPECT_FALSE(std::filesystem::exists(path_));
  open();
  std::filesystem::remove(path_);
  std::ofstream(path_) << "another's";
  door_.reset();
  EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(DirectDoorTest, LetsInWhomTheUmaskLetsIn) {
  const mode_t before = ::umask(0007);
  open();
  ::umask(before);
  struct stat made{};
  ASSERT_EQ(::stat(path_.c_str(), &made), 0);
  EXPECT_EQ(made.st_mode & 0777, 0770u);
}

// Once there are descriptors again, those who wait come in.
TEST_F(DirectDoorTest, WaitsWhenThereAreNoDescriptorsLeft) {
  open();
  const auto caller = call();  // in the queue
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  int turns = 0;
  const Loop::Hook hook = loop_.before_wait([&] { ++turns; });
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  loop_.run_until([] { return false; }, 250ms);
  EXPECT_EQ(door_->connections(), 0u);
  EXPECT_LT(turns, 20) << "it does not try again and again";
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_TRUE(until([&] { return door_->connections() == 1; }));
}

}  // namespace
}  // namespace fanfare
