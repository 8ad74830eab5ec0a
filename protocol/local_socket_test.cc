#include "protocol/local_socket.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

#include "base/unix_message.h"

namespace fanfare::protocol {
namespace {

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    here = Fd(ends[0]);
    there = Fd(ends[1]);
  }
  Result<LocalPacket> receive() { return receive_local(there.get(), buffer); }
  std::string send_raw(const LocalHead& head, std::string_view rest,
                       std::span<const int> fds = {}) {
    std::string packet(sizeof head, '\0');
    std::memcpy(packet.data(), &head, sizeof head);
    packet += rest;
    EXPECT_TRUE(send_message(here.get(), packet, fds, {}));
    const auto received = receive();
    return received ? "taken" : received.error().message;
  }
  Fd here, there;
  std::string buffer = std::string(kLocalPacketMax, '\0');
};

TEST(LocalSocket, LiesBesideTheBrokersEndpoint) {
  EXPECT_EQ(local_place("ipc:///run/fanfare/broker.ipc").folder, "/run/fanfare/local");
  EXPECT_EQ(local_place("ipc:///run/fanfare/broker.ipc").prefix, "broker.ipc.");
  for (const char* other : {"tcp://127.0.0.1:7000", "ipc://@abstract", "ipc:///run/", ""}) {
    EXPECT_FALSE(local_place(other).any()) << other;
  }
}

TEST(LocalSocket, CarriesMessagesOfAnySize) {
  Pair pair;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kLocalInlineMax,
                                 kLocalInlineMax + 1, std::size_t{5'000'000}}) {
    const std::string frame(size, 'x');
    ASSERT_TRUE(send_local(pair.here.get(), frame));
    const auto packet = pair.receive();
    ASSERT_TRUE(packet) << size << ": " << packet.error().message;
    EXPECT_EQ(packet->frame, frame);
    EXPECT_FALSE(packet->not_here);
  }
  ASSERT_TRUE(send_not_here(pair.here.get(), 77));
  EXPECT_EQ(pair.receive()->not_here, 77u);
  EXPECT_EQ(pair.receive().error().kind, ErrorKind::kRetryLater);
  pair.here.reset();
  EXPECT_EQ(pair.receive().error().kind, ErrorKind::kReconnect);
}

TEST(LocalSocket, RefusesWhatIsNoPacketAndSaysWhy) {
  Pair pair;
  LocalHead other_version;
  other_version.version = 2;
  EXPECT_EQ(pair.send_raw(other_version, ""),
            "the packet is of version 2 of the local lane, this is version 1");
  LocalHead other_magic;
  other_magic.magic[0] = 'X';
  EXPECT_EQ(pair.send_raw(other_magic, ""), "this is no packet of the local lane");
  EXPECT_EQ(pair.send_raw({.size = 5}, "four"), "a packet of another size than it says");
  EXPECT_EQ(pair.send_raw({.size = 1u << 31}, ""), "a message larger than 16 MiB");
  EXPECT_EQ(pair.send_raw({.flags = 4, .size = 4}, "four"), "a packet that says what it is not");
  EXPECT_EQ(pair.send_raw({.flags = LocalHead::kNotHere, .size = 4}, "four"),
            "a packet that says what it is not");
  EXPECT_EQ(pair.send_raw({.flags = LocalHead::kInMemfd, .size = 4}, ""),
            "a packet that says what it is not");
  const std::array no_memfd{0};
  EXPECT_EQ(pair.send_raw({.flags = LocalHead::kInMemfd, .size = 4}, "", no_memfd),
            "a descriptor that is no sealed memfd");
  const auto memfd = make_sealed_memfd("test", std::array{std::string_view("four")});
  const std::array fds{memfd->get()};
  EXPECT_EQ(pair.send_raw({.flags = LocalHead::kInMemfd, .size = 5}, "", fds),
            "a memfd of another size than announced");
  EXPECT_EQ(pair.send_raw({.flags = LocalHead::kInMemfd, .size = 4}, "", fds), "taken");
}

TEST(LocalSocket, FilesOfAnotherBrokersWorkersAreNotTakenForThisOnes) {
  const LocalPlace place = local_place("ipc:///run/fanfare/prod");
  EXPECT_TRUE(place.has("prod.4711"));
  for (const char* other :
       {"prod.", "prod.test.4711", "prod.4711x", "staging.1", ".prod.1", "prod"}) {
    EXPECT_FALSE(place.has(other)) << other;
  }
  EXPECT_FALSE(local_place("tcp://127.0.0.1:1").has("1"));
}

}  // namespace
}  // namespace fanfare::protocol
