#include "base/redis_link.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <vector>

#include "tests/support/redis_server.h"

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// A socket on a free port of the loopback that listens and never accepts.
class TcpListener {
 public:
  explicit TcpListener(int backlog) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address_), size), 0);
    EXPECT_EQ(listen(fd_, backlog), 0);
    EXPECT_EQ(getsockname(fd_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
  }
  ~TcpListener() { close(fd_); }
  std::uint16_t port() const { return ntohs(address_.sin_port); }

  // A connection that was begun; the caller closes it.
  int connect() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ::connect(fd, reinterpret_cast<const sockaddr*>(&address_), sizeof address_);
    return fd;
  }

 private:
  const int fd_;
  sockaddr_in address_{};
};

class RedisLinkTest : public testing::Test {
 protected:
  void connect(RedisOptions options) {
    options.reconnect_min = 1ms;
    options.reconnect_max = 20ms;
    link_ = std::make_unique<RedisLink>(loop_, options,
                                        RedisLink::Handlers{.on_up = [this] { ++ups_; },
                                                            .on_down =
                                                                [this](std::string_view reason) {
                                                                  ++downs_;
                                                                  down_reason_ = reason;
                                                                }});
  }
  void connect_and_wait(RedisOptions options) {
    connect(options);
    ASSERT_TRUE(until([this] { return ups_ > 0; }));
  }
  bool until(const std::function<bool()>& done) { return loop_.run_until(done, 10s); }

  void call(std::initializer_list<std::string_view> arguments) {
    link_->call(arguments,
                [this](const RedisReply& reply) { answers_.push_back(test::to_text(reply)); });
  }
  std::string answer(std::initializer_list<std::string_view> arguments) {
    const std::size_t before = answers_.size();
    call(arguments);
    EXPECT_TRUE(until([&] { return answers_.size() > before; }));
    return answers_.back();
  }

  Loop loop_;
  std::unique_ptr<RedisLink> link_;
  int ups_ = 0, downs_ = 0;
  std::string down_reason_;
  std::vector<std::string> answers_;
};

TEST_F(RedisLinkTest, AnswersInOrder) {
  test::RedisServer server;
  connect_and_wait(server.options());
  call({"RPUSH", "list", "a", "b"});
  call({"LRANGE", "list", "0", "-1"});
  call({"GET", "nothing"});
  call({"INCR", "list"});
  ASSERT_TRUE(until([this] { return answers_.size() == 4; }));
  EXPECT_THAT(answers_, ElementsAre("2", "a\nb", "(nil)", HasSubstr("(error) WRONGTYPE")));
  EXPECT_EQ(link_->pending(), 0u);
}

TEST_F(RedisLinkTest, CarriesAnyBytes) {
  test::RedisServer server;
  connect_and_wait(server.options());
  const std::string bytes("\0\r\n$%s\xff", 8);
  EXPECT_EQ(answer({"SET", bytes, bytes}), "OK");
  EXPECT_EQ(answer({"GET", bytes}), bytes);
  EXPECT_EQ(answer({"SET", "", ""}), "OK");
}

TEST_F(RedisLinkTest, KeepsTheOrderOfCommandsThatWaitForOneAnother) {
  test::RedisServer server;
  connect_and_wait(server.options());
  const std::string large(100'000, 'x');
  for (int i = 0; i < 100; ++i) {
    const std::string number = std::to_string(i);
    call({"RPUSH", "list", number + large});
  }
  ASSERT_TRUE(until([this] { return answers_.size() == 100; }));
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(answers_[static_cast<std::size_t>(i)], std::to_string(i + 1));
  EXPECT_EQ(answer({"LINDEX", "list", "73"}), "73" + large);
}

TEST_F(RedisLinkTest, LosesAlsoWhatHadToWaitWhenTheServerGoes) {
  test::RedisServer server;
  connect_and_wait(server.options());
  const std::string large(100'000, 'x');
  for (int i = 0; i < 100; ++i) call({"RPUSH", "list", large});
  server.kill_hard();
  ASSERT_TRUE(until([this] { return downs_ > 0; }));
  EXPECT_EQ(answers_.size(), 100u);
  EXPECT_EQ(answers_.back(), "(lost)");
  EXPECT_EQ(link_->pending(), 0u);
}

TEST_F(RedisLinkTest, CarriesMoreThanASocketHoldsAtOnce) {
  test::RedisServer server;
  connect_and_wait(server.options());
  const std::string large(8 << 20, 'x');
  EXPECT_EQ(answer({"SET", "large", large}), "OK");
  EXPECT_TRUE(answer({"GET", "large"}) == large);  // without printing 8 MiB
}

TEST_F(RedisLinkTest, SendsAllCommandsOfATurnTogether) {
  test::RedisServer server;
  connect_and_wait(server.options());
  constexpr std::size_t kCalls = 10000;
  for (std::size_t i = 0; i < kCalls; ++i) call({"INCR", "n"});
  ASSERT_TRUE(until([this] { return answers_.size() == kCalls; }));
  EXPECT_EQ(answers_.back(), std::to_string(kCalls));
}

TEST_F(RedisLinkTest, ReadsNestedReplies) {
  test::RedisServer server;
  connect_and_wait(server.options());
  std::optional<std::int64_t> deep;
  std::size_t outer = 0;
  bool missing_is_nil = false;
  link_->call({"EVAL", "return {1,{2,{3}}}", "0"}, [&](const RedisReply& reply) {
    outer = reply.size();
    deep = reply[1][1][0].integer();
    missing_is_nil = reply[7].is_nil() && reply[7][7].is_nil() && reply[0].text().empty();
  });
  ASSERT_TRUE(until([&] { return deep.has_value(); }));
  EXPECT_EQ(outer, 2u);
  EXPECT_EQ(deep, 3);
  EXPECT_TRUE(missing_is_nil);
}

TEST_F(RedisLinkTest, LosesCallsMadeWhileDownInTheNextTurnNotAtOnce) {
  test::TempDir dir;
  RedisOptions nowhere;
  nowhere.unix_path = dir.file("redis.sock");
  connect(nowhere);
  bool inside = true, lost = false;
  link_->call({"PING"}, [&](const RedisReply& reply) { lost = reply.lost() && !inside; });
  EXPECT_FALSE(lost);
  inside = false;
  ASSERT_TRUE(until([&] { return lost; }));
  ASSERT_TRUE(until([this] { return downs_ >= 3; }));  // and keeps trying
  EXPECT_THAT(down_reason_, HasSubstr("No such file"));
  EXPECT_FALSE(link_->up());
}

TEST_F(RedisLinkTest, ReportsEverythingPendingAsLostWhenRedisDiesAndComesBackWhenItDoes) {
  test::RedisServer server;
  connect_and_wait(server.options());
  server.pause();
  for (int i = 0; i < 100; ++i) call({"INCR", "n"});
  loop_.run_until([] { return false; }, 5ms);
  server.kill_hard();
  ASSERT_TRUE(until([this] { return answers_.size() == 100; }));
  EXPECT_THAT(answers_, Each("(lost)"));
  ASSERT_TRUE(until([this] { return downs_ > 0; }));
  server.start();
  ASSERT_TRUE(until([this] { return ups_ == 2; }));
  EXPECT_EQ(answer({"SET", "back", "1"}), "OK");
}

TEST_F(RedisLinkTest, LetsALostCallbackCallAgain) {
  test::RedisServer server;
  connect_and_wait(server.options());
  std::string final_answer;
  std::function<void(const RedisReply&)> again = [&](const RedisReply& reply) {
    if (reply.lost()) {
      loop_.post([&] { link_->call({"PING"}, again); });
    } else {
      final_answer = reply.text();
    }
  };
  server.pause();
  link_->call({"PING"}, [&](const RedisReply& reply) {
    EXPECT_TRUE(reply.lost());
    link_->call({"PING"}, again);  // within the teardown
  });
  loop_.run_until([] { return false; }, 2ms);
  server.kill_hard();
  ASSERT_TRUE(until([this] { return downs_ > 0; }));
  server.start();
  ASSERT_TRUE(until([&] { return final_answer == "PONG"; }));
}

TEST_F(RedisLinkTest, GivesUpOnACommandThatIsNotAnsweredInTime) {
  test::RedisServer server;
  RedisOptions options = server.options();
  options.command_timeout = 50ms;
  connect_and_wait(options);
  server.pause();
  call({"INCR", "n"});
  call({"INCR", "n"});
  ASSERT_TRUE(until([this] { return downs_ > 0; }));
  EXPECT_THAT(answers_, ElementsAre("(lost)", "(lost)"));
  EXPECT_THAT(down_reason_, HasSubstr("no answer within 50ms"));
  server.resume();
  ASSERT_TRUE(until([this] { return ups_ == 2; }));
  EXPECT_EQ(answer({"PING"}), "PONG");
}

TEST_F(RedisLinkTest, DoesNotBlameRedisForTheTimeThatThisProcessStoodStill) {
  test::RedisServer server;
  RedisOptions options = server.options();
  options.command_timeout = 20ms;
  connect_and_wait(options);
  call({"PING"});
  const auto hook = loop_.before_wait([this, hold = true]() mutable {
    if (!std::exchange(hold, false)) return;
    loop_.post([] {
      const auto until = std::chrono::steady_clock::now() + 60ms;
      while (std::chrono::steady_clock::now() < until) {
      }
    });
  });
  ASSERT_TRUE(until([this] { return !answers_.empty(); }));
  EXPECT_THAT(answers_, ElementsAre("PONG"));
  EXPECT_EQ(downs_, 0);
}

TEST_F(RedisLinkTest, GivesUpOnAServerThatTakesNoMoreConnections) {
  // Its backlog is full and it accepts nobody, so that connecting neither succeeds nor fails.
  const TcpListener server(0);
  std::vector<int> waiting;
  for (int i = 0; i < 4; ++i) waiting.push_back(server.connect());
  RedisOptions options;
  options.port = server.port();
  options.connect_timeout = 20ms;
  connect(options);
  ASSERT_TRUE(until([this] { return downs_ > 0; }));
  EXPECT_THAT(down_reason_, HasSubstr("not connected within 20ms"));
  for (const int fd : waiting) close(fd);
}

TEST_F(RedisLinkTest, MakesANewConnectionAfterAReset) {
  test::RedisServer server;
  connect_and_wait(server.options());
  server.pause();
  call({"PING"});
  link_->reset();
  EXPECT_TRUE(answers_.empty());  // not from within
  ASSERT_TRUE(until([this] { return downs_ == 1; }));
  EXPECT_THAT(answers_, ElementsAre("(lost)"));
  server.resume();
  ASSERT_TRUE(until([this] { return ups_ == 2; }));
}

TEST_F(RedisLinkTest, MayBeResetFromWithinAnAnswer) {
  test::RedisServer server;
  connect_and_wait(server.options());
  link_->call({"PING"}, [this](const RedisReply&) { link_->reset(); });
  call({"PING"});
  ASSERT_TRUE(until([this] { return ups_ == 2; }));
  EXPECT_EQ(answers_.size(), 1u);
}

TEST_F(RedisLinkTest, CallsNobodyOnceItIsDestroyed) {
  test::RedisServer server;
  connect_and_wait(server.options());
  server.pause();
  call({"PING"});
  loop_.run_until([] { return false; }, 2ms);
  call({"PING"});
  link_.reset();
  loop_.run_until([] { return false; }, 5ms);
  EXPECT_TRUE(answers_.empty());
  EXPECT_EQ(downs_, 0);
}

TEST_F(RedisLinkTest, KeepsItsSocketFromProgramsThatAreStarted) {
  test::RedisServer server;
  connect_and_wait(server.options());
  int unix_sockets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    const int fd = std::stoi(entry.path().filename().string());
    sockaddr_un peer{};
    socklen_t size = sizeof peer;
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sun_family != AF_UNIX || server.socket_path() != peer.sun_path) continue;
    ++unix_sockets;
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  }
  EXPECT_EQ(unix_sockets, 1);
}

TEST_F(RedisLinkTest, SurvivesAServerThatSaysNoToTheConnection) {
  test::RedisServer server({.more = {"--maxclients", "1"}});
  auto only = RedisSync::connect(server.options());
  ASSERT_TRUE(only);
  ASSERT_TRUE(only->call({"PING"}));
  connect(server.options());
  ASSERT_TRUE(until([this] { return downs_ >= 2; }));
  EXPECT_THAT(down_reason_, HasSubstr("max number of clients"));
}

TEST_F(RedisLinkTest, SpeaksTcpToo) {
  // Port 0 is "none" for Redis, so a free one is looked for.
  std::uint16_t port = 0;
  {
    port = TcpListener(1).port();
  }
  test::RedisServer server({.more = {"--port", std::to_string(port), "--bind", "127.0.0.1"}});
  RedisOptions options;
  options.port = port;
  connect_and_wait(options);
  EXPECT_EQ(answer({"PING"}), "PONG");
}

}  // namespace
}  // namespace fanfare
