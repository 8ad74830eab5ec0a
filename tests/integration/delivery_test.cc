// Events on their whole way through real processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/unix_socket.h"
#include "store/keys.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Delivery, GivesEachOfAThousandEventsItsResult) {
  Installation installation;
  installation.deploy("builtin/noop");
  const auto ids = installation.publish_all("noop", std::vector<std::string>(1000));
  const auto redis = installation.redis().options();
  EXPECT_TRUE(eventually([&] { return all_ended(redis, "noop"); })) << installation.logs();

  auto counted = audit(redis, "noop", ids);
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.acknowledged, 1000u);
  EXPECT_EQ(counted.results, 1000u);
  EXPECT_EQ(counted.repeats, 0u);
  EXPECT_EQ(counted.counts["accepted"], 1000);
  EXPECT_EQ(counted.counts["succeeded"], 1000);
}

TEST(Audit, NoticesOneLostResultAndOneLostCount) {
  Installation installation;
  installation.deploy("builtin/noop");
  const auto ids = installation.publish_all("noop", std::vector<std::string>(20));
  const auto redis = installation.redis().options();
  ASSERT_TRUE(eventually([&] { return all_ended(redis, "noop"); })) << installation.logs();
  ASSERT_THAT(audit(redis, "noop", ids).violations, IsEmpty());

  // Alone, so that its result is a field of its own.
  const auto lost = installation.publish("noop", "x");
  const auto with_lost = [&] {
    auto all = ids;
    all.push_back(lost);
    return all;
  }();
  ASSERT_TRUE(eventually([&] { return all_ended(redis, "noop"); })) << installation.logs();
  ASSERT_THAT(audit(redis, "noop", with_lost).violations, IsEmpty());
  EXPECT_EQ(installation.redis().command(
                {"HDEL", store::results_key("noop", lost.entry), std::to_string(lost.index)}),
            "1");
  EXPECT_THAT(audit(redis, "noop", with_lost).violations,
              Contains(HasSubstr(protocol::to_string(lost) + " has no result")));
  installation.redis().command({"HINCRBY", store::counts_key("noop"), "succeeded", "-1"});
  EXPECT_THAT(audit(redis, "noop", with_lost).violations, Contains(HasSubstr("accounted for")));
}

// ---- the way past ZeroMQ ----

// Connections that were taken at this socket, as the kernel lists them.
std::size_t connections_at(const std::string& path) {
  std::ifstream sockets("/proc/net/unix");
  std::size_t connected = 0;
  for (std::string line; std::getline(sockets, line);) {
    constexpr std::string_view kConnected = " 0001 03 ";  // type: stream, state
    if (line.ends_with(" " + path) && line.find(kConnected) != line.npos) ++connected;
  }
  return connected;
}

TEST(DirectDoor, IsTakenByWorkersAndClientsOfTheHost) {
  Installation installation;
  installation.deploy("builtin/noop");
  const auto id = installation.publish("noop", "x");
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
  EXPECT_EQ(connections_at(installation.file("broker.ipc.direct")), 2u) << "a worker and a client";
}

TEST(DirectDoor, ThatIsClosedLeavesThemZeroMq) {
  Installation installation({.broker = {{"FANFARE_BROKER_DIRECT", "false"}}});
  installation.deploy("builtin/noop");
  const auto id = installation.publish("noop", "x");
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
  EXPECT_FALSE(std::filesystem::exists(installation.file("broker.ipc.direct")));
}

TEST(DirectDoor, IsTakenAgainByWhomARestartHasPutOut) {
  Installation installation;
  installation.deploy("builtin/noop");
  installation.broker().kill_hard();
  installation.start_broker();
  const auto id = installation.publish("noop", "x");
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
  EXPECT_EQ(connections_at(installation.file("broker.ipc.direct")), 2u);
}

TEST(DirectDoor, PutsStrangersOutAndGoesOn) {
  Installation installation;
  installation.deploy("builtin/noop");
  for (const std::string_view words : {"GET / HTTP/1.1\r\n\r\n", "\xff\xff\xff\xff", "\x01"}) {
    const auto stranger = connect_unix(installation.file("broker.ipc.direct"), UnixKind::kStream);
    ASSERT_TRUE(stranger);
    ASSERT_EQ(::write(stranger->get(), words.data(), words.size()),
              static_cast<ssize_t>(words.size()));
    ::shutdown(stranger->get(), SHUT_WR);
    EXPECT_TRUE(eventually([&] {
      char byte = 0;
      return ::recv(stranger->get(), &byte, 1, MSG_DONTWAIT) == 0 || errno == ECONNRESET;
    }));
  }
  const auto id = installation.publish("noop", "x");
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
}

}  // namespace
}  // namespace fanfare::test
