#include "base/zmq_connections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare {
namespace {

using namespace std::chrono_literals;
using testing::UnorderedElementsAre;
using Why = ConnectionRefusal;

constexpr TimePoint kAt = TimePoint{} + std::chrono::hours{1};

std::string reason(const std::optional<ConnectionTable::Refused>& refused) {
  return refused ? std::string(to_string(refused->why)) + " " + refused->address : "came in";
}

TEST(ConnectionTable, WhoSucceedsIsNotRefused) {
  ConnectionTable table({});
  EXPECT_TRUE(table.on_accepted(7, "10.0.0.2:5000", kAt));
  table.on_handshake_succeeded();
  EXPECT_EQ(reason(table.on_closed(7)), "came in");
  EXPECT_EQ(table.open(), 0u);
}

TEST(ConnectionTable, AFailedHandshakeIsOfTheConnectionThatEndsNext) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000", kAt);
  table.on_accepted(8, "10.0.0.3:5000", kAt);
  table.on_handshake_failed(Why::kTimeout);
  EXPECT_EQ(reason(table.on_closed(8)), "timeout 10.0.0.3:5000");
  table.on_handshake_failed(Why::kNoKey);
  EXPECT_EQ(reason(table.on_closed(7)), "no_key 10.0.0.2:5000");
}

TEST(ConnectionTable, WhatEndsWithoutAWordDidNotSpeakZmtp) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000", kAt);
  EXPECT_EQ(reason(table.on_closed(7)), "malformed 10.0.0.2:5000");
}

TEST(ConnectionTable, ARefusedKeyIsOfAConnectionOfItsHost) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000", kAt);
  table.on_accepted(8, "[fe80::1]:6000", kAt);
  table.on_key_refused("fe80::1");
  EXPECT_EQ(reason(table.on_closed(7)), "malformed 10.0.0.2:5000");
  EXPECT_EQ(reason(table.on_closed(8)), "unknown_key [fe80::1]:6000");
}

TEST(ConnectionTable, OneThatSucceededAmongOthersIsKnownByItsMessages) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000", kAt);
  table.on_accepted(8, "10.0.0.3:5000", kAt);
  table.on_handshake_succeeded();  // of 7, which nobody says
  table.on_message(7, "ada", "id-7");
  EXPECT_EQ(reason(table.on_closed(8)), "malformed 10.0.0.3:5000");
  EXPECT_EQ(reason(table.on_closed(7)), "came in");
}

TEST(ConnectionTable, OfTwoThatEndTogetherOneIsCounted) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000", kAt);
  table.on_accepted(8, "10.0.0.3:5000", kAt);
  table.on_handshake_succeeded();
  int refused = 0;
  for (const int fd : {7, 8}) refused += table.on_closed(fd).has_value() ? 1 : 0;
  EXPECT_EQ(refused, 1);
}

TEST(ConnectionTable, OneTooManyIsToBeClosedAndToldAsSuch) {
  ConnectionTable table({.open_max = 2});
  EXPECT_TRUE(table.on_accepted(1, "10.0.0.1:1", kAt));
  EXPECT_TRUE(table.on_accepted(2, "10.0.0.2:1", kAt));
  EXPECT_FALSE(table.on_accepted(3, "10.0.0.3:1", kAt));
  table.on_handshake_failed(Why::kLeft);  // for it was closed
  EXPECT_EQ(reason(table.on_closed(3)), "full 10.0.0.3:1");
  table.on_closed(1);
  EXPECT_TRUE(table.on_accepted(4, "10.0.0.4:1", kAt));
}

TEST(ConnectionTable, AHostsFloodOfSilentOnesLeavesOthersTheirRoom) {
  ConnectionTable table({.open_max = 100, .unproven_per_host_max = 3});
  for (int fd = 0; fd < 3; ++fd) EXPECT_TRUE(table.on_accepted(fd, "10.0.0.66:1", kAt));
  EXPECT_FALSE(table.on_accepted(3, "10.0.0.66:1", kAt));
  EXPECT_TRUE(table.on_accepted(4, "10.0.0.2:1", kAt));
  table.on_message(4, "ada", "id-4");
  // One of the flood proves its key, and makes room for one more.
  table.on_message(0, "eve", "id-0");
  table.on_closed(3);
  EXPECT_TRUE(table.on_accepted(5, "10.0.0.66:1", kAt));
}

TEST(ConnectionTable, AFloodOfSilentOnesFromManyHostsLeavesThoseWithKeysTheirRoom) {
  ConnectionTable table({.open_max = 8, .unproven_max = 2});
  EXPECT_TRUE(table.on_accepted(1, "10.0.0.1:1", kAt));
  EXPECT_TRUE(table.on_accepted(2, "10.0.0.2:1", kAt));
  EXPECT_FALSE(table.on_accepted(3, "10.0.0.3:1", kAt));
  EXPECT_EQ(reason(table.on_closed(3)), "full 10.0.0.3:1");
  table.on_message(2, "ada", "a");
  EXPECT_TRUE(table.on_accepted(3, "10.0.0.3:1", kAt));
}

TEST(ConnectionTable, AHostIsANetworkOfIPv6) {
  EXPECT_EQ(host_of("10.0.0.2:5123"), "10.0.0.2");
  EXPECT_EQ(host_of("10.0.0.2"), "10.0.0.2");
  EXPECT_EQ(host_of("[::ffff:10.0.0.2]:5123"), "10.0.0.2");
  EXPECT_EQ(host_of("[2001:db8:1:2:3:4:5:6]:7"), "2001:db8:1:2::/64");
  EXPECT_EQ(host_of("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
  EXPECT_EQ(host_of("fe80::1%eth0"), "fe80::/64");
  EXPECT_EQ(host_of(""), "");
  ConnectionTable table({.unproven_per_host_max = 2});
  EXPECT_TRUE(table.on_accepted(1, "[2001:db8::1]:1", kAt));
  EXPECT_TRUE(table.on_accepted(2, "[2001:db8::2]:1", kAt));
  EXPECT_FALSE(table.on_accepted(3, "[2001:db8::3]:1", kAt));
  EXPECT_TRUE(table.on_accepted(4, "[2001:db8:0:1::1]:1", kAt));
}

TEST(ConnectionTable, ARefusedKeyIsForgottenWithItsHostsLastConnection) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000", kAt);
  table.on_key_refused("10.0.0.2");
  table.on_key_refused("10.0.0.2");
  EXPECT_EQ(reason(table.on_closed(7)), "unknown_key 10.0.0.2:5000");
  table.on_accepted(7, "10.0.0.2:5001", kAt);
  EXPECT_EQ(reason(table.on_closed(7)), "malformed 10.0.0.2:5001");
  table.on_key_refused("10.0.0.9");  // its connection has ended before
  table.on_accepted(8, "10.0.0.9:5000", kAt);
  EXPECT_EQ(reason(table.on_closed(8)), "malformed 10.0.0.9:5000");
}

TEST(ConnectionTable, AUserHasSoManyConnections) {
  ConnectionTable table({.per_user_max = 2});
  for (const int fd : {1, 2, 3, 4}) table.on_accepted(fd, "10.0.0.2:1", kAt);
  EXPECT_TRUE(table.on_message(1, "ada", "a"));
  EXPECT_TRUE(table.on_message(2, "ada", "b"));
  EXPECT_FALSE(table.on_message(3, "ada", "c"));
  EXPECT_TRUE(table.on_message(4, "eve", "d"));
  EXPECT_EQ(reason(table.on_closed(3)), "full 10.0.0.2:1");
  EXPECT_TRUE(table.on_message(1, "ada", "a"));
}

TEST(ConnectionTable, WhoSaysNothingForTooLongIsToBeClosed) {
  ConnectionTable table({.silent_max = 60s});
  for (const int fd : {1, 2}) table.on_accepted(fd, "10.0.0.2:1", kAt);
  for (int both = 0; both < 2; ++both) table.on_handshake_succeeded();
  table.on_accepted(3, "10.0.0.3:1", kAt + 1s);
  table.on_message(1, "ada", "a");
  EXPECT_TRUE(table.take_silent(kAt + 59s).empty());
  EXPECT_THAT(table.take_silent(kAt + 60s), UnorderedElementsAre(2));
  EXPECT_TRUE(table.take_silent(kAt + 60s).empty()) << "once";
  EXPECT_EQ(reason(table.on_closed(2)), "silent 10.0.0.2:1");
}

TEST(ConnectionTable, FindsTheConnectionsOfAUser) {
  ConnectionTable table({});
  for (const int fd : {1, 2, 3}) table.on_accepted(fd, "10.0.0.2:1", kAt);
  table.on_message(1, "ada", "id-1");
  table.on_message(2, "eve", "id-2");
  table.on_message(3, "ada", "id-3");
  EXPECT_THAT(table.of_user("ada"), UnorderedElementsAre(1, 3));
  table.on_closed(1);
  EXPECT_THAT(table.of_user("ada"), UnorderedElementsAre(3));
}

TEST(ConnectionTable, ARoutingIdIsItsConnectionsAsLongAsThatIsOpen) {
  ConnectionTable table({});
  table.on_accepted(1, "10.0.0.2:1", kAt);
  EXPECT_FALSE(table.owns("ada", "w"));
  EXPECT_TRUE(table.on_message(1, "ada", "w"));
  EXPECT_TRUE(table.owns("ada", "w"));
  EXPECT_FALSE(table.owns("eve", "w"));
  table.on_closed(1);
  EXPECT_FALSE(table.owns("ada", "w")) << "whoever has it now";
  table.on_accepted(1, "10.0.0.3:1", kAt);
  EXPECT_FALSE(table.owns("ada", "w"));
  EXPECT_TRUE(table.on_message(1, "eve", "w"));
  EXPECT_FALSE(table.owns("ada", "w"));
  EXPECT_TRUE(table.owns("eve", "w"));
}

TEST(ConnectionTable, ARoutingIdThatIsInUseIsNobodyElses) {
  ConnectionTable table({});
  for (const int fd : {1, 2, 3}) table.on_accepted(fd, "10.0.0.2:1", kAt);
  EXPECT_TRUE(table.on_message(1, "ada", "w"));
  EXPECT_FALSE(table.on_message(2, "eve", "w")) << "to be closed";
  EXPECT_TRUE(table.owns("ada", "w"));
  EXPECT_THAT(table.of_user("eve"), UnorderedElementsAre(2));
  EXPECT_TRUE(table.on_message(3, "ada", "w")) << "connected anew before the end was seen";
  table.on_closed(1);
  EXPECT_TRUE(table.owns("ada", "w"));
}

TEST(ConnectionTable, WhereTwoUsersSeemToComeByOneConnectionTheLastOneIsItAndItIsClosed) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.3:1", kAt);
  EXPECT_TRUE(table.on_message(7, "ada", "a")) << "her last words, by a descriptor used again";
  EXPECT_FALSE(table.on_message(7, "eve", "e"));
  EXPECT_THAT(table.of_user("eve"), UnorderedElementsAre(7));
  EXPECT_TRUE(table.of_user("ada").empty());
}

TEST(ConnectionTable, ADescriptorThatIsUsedAgainBeginsAnew) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000", kAt);
  table.on_message(7, "ada", "id-7");
  table.on_accepted(7, "10.0.0.3:5000", kAt);
  EXPECT_TRUE(table.of_user("ada").empty());
  EXPECT_EQ(table.open(), 1u);
}

}  // namespace
}  // namespace fanfare
