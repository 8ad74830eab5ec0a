// The local lane's socket on a loop of its own: who comes in, what travels, what cannot stop it.
#include "worker/local_door.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/unix_message.h"
#include "tests/support/temp_dir.h"

namespace fanfare::worker {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

sockaddr_un address_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

int connect_to(const std::string& path) {
  const auto address = address_at(path);
  const int fd = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return fd;
  ::close(fd);
  return -1;
}

// A door beside a file that stands for the broker's socket.
struct Doorway {
  explicit Doorway(mode_t mode = 0600) {
    std::ofstream{dir.file("broker.ipc")};
    ::chmod(dir.file("broker.ipc").c_str(), mode);
    auto opened = LocalDoor::open(loop, "ipc://" + dir.file("broker.ipc"),
                                  {.on_invoke =
                                       [this](CallerId caller, protocol::Invoke invoke) {
                                         calls.emplace_back(caller, std::move(invoke));
                                       },
                                   .on_gone = [this](CallerId) { ++gone; }});
    EXPECT_TRUE(opened) << opened.error().message;
    door = *std::move(opened);
  }
  void turns() {
    loop.run_until([] { return false; }, 1ms);
  }
  test::TempDir dir;
  Loop loop;
  std::vector<std::pair<CallerId, protocol::Invoke>> calls;
  int gone = 0;
  std::unique_ptr<LocalDoor> door;
};

struct Caller {
  explicit Caller(Doorway& way) : way_(way), socket(connect_to(way.door->path())) {
    EXPECT_TRUE(socket);
    way_.turns();
    const auto greeting = next();
    EXPECT_TRUE(greeting && protocol::decode(greeting->frame)) << "greeted at once";
  }
  void send(std::string_view frame) {
    EXPECT_TRUE(protocol::send_local(socket.get(), frame));
    way_.turns();
  }
  void invoke(std::uint64_t request, const std::string& data = "x") {
    send(protocol::encode(protocol::Invoke{request, "f", 1000, data}));
  }
  Result<protocol::LocalPacket> next() {
    std::string buffer(protocol::kLocalPacketMax, '\0');
    return protocol::receive_local(socket.get(), buffer);
  }
  protocol::Refused refusal() {
    const auto packet = next();
    if (!packet) return {};
    const auto message = protocol::decode(packet->frame);
    const auto* refused = message ? std::get_if<protocol::Refused>(&*message) : nullptr;
    return refused ? *refused : protocol::Refused{};
  }
  Doorway& way_;
  Fd socket;
};

TEST(LocalDoor, TakesCallsAndGivesAnswersWhateverTheirSize) {
  Doorway way;
  Caller caller(way), other(way);
  caller.invoke(1, std::string(3'000'000, 'x'));
  other.invoke(1);
  ASSERT_EQ(way.calls.size(), 2u);
  EXPECT_EQ(way.calls[0].second.packed_event.size(), 3'000'000u);
  EXPECT_NE(way.calls[0].first, way.calls[1].first);
  const std::string large(2'000'000, 'y');
  way.door->answer(way.calls[0].first, 1, large);
  way.door->answer(way.calls[0].first, 1, "twice");
  way.door->answer(way.calls[1].first, 1, {});
  EXPECT_EQ(caller.next()->frame, large);
  EXPECT_EQ(caller.next().error().kind, ErrorKind::kRetryLater) << "once for each call";
  EXPECT_EQ(other.next()->not_here, 1u);
}

TEST(LocalDoor, TellsWhenACallerIsGoneAndForgetsWhatItAsked) {
  Doorway way;
  {
    Caller caller(way);
    caller.invoke(1);
  }
  way.turns();
  EXPECT_EQ(way.gone, 1);
  EXPECT_EQ(way.door->connections(), 0u);
  way.door->answer(way.calls.at(0).first, 1, "to nobody");
}

TEST(LocalDoor, HasTheRightsOfTheBrokersSocket) {
  for (const mode_t mode : {0600u, 0660u, 0666u, 0770u}) {
    Doorway way(mode);
    struct stat status{};
    ASSERT_EQ(::stat(way.door->path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, mode & 0666);
  }
}

// Who is of neither gets no further than to the socket.
TEST(LocalDoor, IsClosedToWhomTheBrokerIsClosedTo) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can be somebody else";
  const auto reached_by_nobody = [](mode_t mode) {
    Doorway way(mode);
    ::chmod(std::filesystem::path(way.dir.file("x")).parent_path().c_str(), 0755);
    const pid_t child = ::fork();
    if (child == 0) {
      const bool dropped =
          ::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0;
      ::_exit(!dropped ? 2 : connect_to(way.door->path()) >= 0 ? 1 : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  };
  EXPECT_EQ(reached_by_nobody(0660), 0);
  EXPECT_EQ(reached_by_nobody(0666), 1) << "the control";
}

TEST(LocalDoor, RemovesWhatAKilledWorkerHasLeftAndNothingElse) {
  Doorway way;
  const std::string folder = std::filesystem::path(way.door->path()).parent_path();
  const auto bind_at = [&](const std::string& name, bool listens) {
    const auto address = address_at(folder + "/" + name);
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    if (listens) ::listen(socket.get(), 1);
    return socket;
  };
  const Fd alive = bind_at("broker.ipc.1", true);
  bind_at("broker.ipc.2", false).reset();
  bind_at("other.ipc.3", false).reset();
  way.door.reset();
  auto again = LocalDoor::open(way.loop, "ipc://" + way.dir.file("broker.ipc"), {});
  ASSERT_TRUE(again);
  const auto there = [&](const char* name) { return std::filesystem::exists(folder + "/" + name); };
  EXPECT_TRUE(there("broker.ipc.1"));
  EXPECT_FALSE(there("broker.ipc.2"));
  EXPECT_TRUE(there("other.ipc.3"));
  const std::string path = (*again)->path();
  again->reset();
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(LocalDoor, FollowsTheBrokersSocketWhenItsRightsChange) {
  Doorway way(0666);
  Caller caller(way);
  const std::string socket = way.door->path(), of_broker = way.dir.file("broker.ipc");
  const auto mode = [&] {
    struct stat status{};
    EXPECT_EQ(::stat(socket.c_str(), &status), 0);
    return status.st_mode & 07777;
  };
  ::chmod(of_broker.c_str(), 0600);
  way.door->renew_rights();
  EXPECT_EQ(mode(), 0600u);
  way.turns();
  caller.invoke(1);
  EXPECT_EQ(way.calls.size(), 1u) << "its own user may, whatever the mode";
  ::unlink(of_broker.c_str());
  ::chmod(socket.c_str(), 0666);
  way.door->renew_rights();
  EXPECT_EQ(mode(), 0600u);
}

TEST(LocalDoor, TakesNobodysPlaceAndRemovesNothingButItsOwn) {
  Doorway way;
  auto namesake = LocalDoor::open(way.loop, "ipc://" + way.dir.file("broker.ipc"), {});
  ASSERT_TRUE(namesake) << namesake.error().message;
  EXPECT_NE((*namesake)->path(), way.door->path());
  const std::string path = way.door->path();
  std::filesystem::rename((*namesake)->path(), path);  // by somebody else, over it
  way.door.reset();
  EXPECT_TRUE(std::filesystem::exists(path)) << "it is another one's by now";
}

TEST(LocalDoor, IsNotOpenedInAFolderThatOthersCanWriteTo) {
  test::TempDir dir;
  std::ofstream{dir.file("broker.ipc")};
  std::filesystem::create_directory(dir.file("local"));
  ::chmod(dir.file("local").c_str(), 0777);
  Loop loop;
  const auto refused = LocalDoor::open(loop, "ipc://" + dir.file("broker.ipc"), {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("/local is no folder that only"));
  ::chmod(dir.file("local").c_str(), 0755);
  EXPECT_TRUE(LocalDoor::open(loop, "ipc://" + dir.file("broker.ipc"), {})) << "the control";
}

TEST(LocalDoor, TellsWhoseCallsWereNotReadThatTheyAreNotHere) {
  Doorway way;
  Caller caller(way);
  ASSERT_TRUE(protocol::send_local(caller.socket.get(),
                                   protocol::encode(protocol::Invoke{7, "f", 1000, "x"})));
  way.door->stop_listening();
  EXPECT_LT(connect_to(way.dir.file("local/broker.ipc." + std::to_string(::getpid()))), 0);
  way.door.reset();
  EXPECT_EQ(caller.next()->not_here, 7u);
  EXPECT_EQ(caller.next().error().kind, ErrorKind::kReconnect);
}

TEST(LocalDoor, AnswersBadInputAndGoesOn) {
  Doorway way;
  Caller good(way);
  Caller junk(way);
  ASSERT_TRUE(send_message(junk.socket.get(), "junk", {}, {}));
  way.turns();
  EXPECT_THAT(junk.refusal().message, HasSubstr("no packet of the local lane"));
  Caller odd(way);
  odd.send(protocol::encode(protocol::Admin{7, "status", "{}"}));
  const auto refused = odd.refusal();
  EXPECT_EQ(refused.request, 7u);
  EXPECT_THAT(refused.message, HasSubstr("takes Invoke"));
  EXPECT_EQ(odd.next().error().kind, ErrorKind::kReconnect);
  EXPECT_EQ(way.door->counters().malformed, 2u);
  good.invoke(1);
  EXPECT_EQ(way.calls.size(), 1u);
}

// Sound packets with bytes changed, cut off and thrown together, by a seed.
TEST(LocalDoor, OutlivesWhateverIsSentToIt) {
  Doorway way;
  std::mt19937 random(20261129);
  const std::string sound = protocol::encode(protocol::Invoke{5, "f", 1000, "event"});
  for (int round = 0; round < 200; ++round) {
    Caller caller(way);
    std::string packet(sizeof(protocol::LocalHead), '\0');
    const protocol::LocalHead head{.size = static_cast<std::uint32_t>(sound.size())};
    std::memcpy(packet.data(), &head, sizeof head);
    packet += sound;
    for (int change = 0; change < 1 + round % 4; ++change) {
      packet[random() % packet.size()] = static_cast<char>(random());
    }
    if (round % 5 == 0) packet.resize(1 + random() % packet.size());
    if (round % 7 == 0) packet.append(random() % 60'000, static_cast<char>(random()));
    const int fd = static_cast<int>(caller.socket.get());
    ASSERT_TRUE(send_message(fd, packet, std::span(&fd, round % 3 == 0 ? 1 : 0), {}));
    if (round % 2 == 0) way.turns();
  }
  way.turns();
  way.calls.clear();
  Caller good(way);
  good.invoke(1);
  EXPECT_EQ(way.calls.size(), 1u);
  EXPECT_EQ(way.door->connections(), 1u);
  EXPECT_GT(way.door->counters().malformed, 50u);
}

TEST(LocalDoor, BoundsConnectionsAndWhatEachMayAsk) {
  Doorway way;
  std::vector<std::unique_ptr<Caller>> callers;
  for (std::size_t n = 0; n < LocalDoor::kConnectionsMax; ++n) {
    callers.push_back(std::make_unique<Caller>(way));
  }
  const Fd beyond(connect_to(way.door->path()));
  way.turns();
  std::string buffer(protocol::kLocalPacketMax, '\0');
  EXPECT_EQ(protocol::receive_local(beyond.get(), buffer).error().kind, ErrorKind::kReconnect)
      << "not even greeted";
  EXPECT_EQ(way.door->counters().refused, 1u);
  Caller& one = *callers[0];
  for (std::uint64_t request = 1; request <= LocalDoor::kCallsMax + 1; ++request) {
    ASSERT_TRUE(protocol::send_local(one.socket.get(),
                                     protocol::encode(protocol::Invoke{request, "f", 1000, "x"})));
    if (request % 20 == 0) way.turns();
  }
  way.turns();
  EXPECT_EQ(way.calls.size(), LocalDoor::kCallsMax);
  EXPECT_EQ(one.next()->not_here, LocalDoor::kCallsMax + 1) << "the broker has other bounds";
}

TEST(LocalDoor, DoesNotReadWhoDoesNotReadAndLetsGoOfItInTheEnd) {
  Doorway way;
  Caller caller(way);
  const auto ask = [&](std::uint64_t request) {
    return protocol::send_local(caller.socket.get(),
                                protocol::encode(protocol::Invoke{request, "f", 1000, "x"}));
  };
  for (std::uint64_t request = 1; request <= 900; ++request) {
    ASSERT_TRUE(ask(request));
    if (request % 20 == 0) way.turns();
  }
  const CallerId id = way.calls.at(0).first;
  const std::string large(60'000, 'x');
  for (std::uint64_t request = 1; request <= 100; ++request) way.door->answer(id, request, large);
  ASSERT_TRUE(ask(901));
  way.turns();
  EXPECT_EQ(way.calls.size(), 900u) << "it reads first";
  EXPECT_EQ(way.door->connections(), 1u);
  for (std::uint64_t request = 101; request <= 900; ++request) way.door->answer(id, request, large);
  EXPECT_EQ(way.gone, 0) << "not in the midst of an answer";
  way.turns();
  EXPECT_EQ(way.gone, 1);
  EXPECT_EQ(way.door->connections(), 0u);
}

}  // namespace
}  // namespace fanfare::worker
