#include "base/zmq_connections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare {
namespace {

using testing::UnorderedElementsAre;
using Why = ConnectionRefusal;

std::string reason(const std::optional<ConnectionTable::Refused>& refused) {
  return refused ? std::string(to_string(refused->why)) + " " + refused->address : "came in";
}

TEST(ConnectionTable, WhoSucceedsIsNotRefused) {
  ConnectionTable table({});
  EXPECT_TRUE(table.on_accepted(7, "10.0.0.2:5000"));
  table.on_handshake_succeeded();
  EXPECT_EQ(reason(table.on_closed(7)), "came in");
  EXPECT_EQ(table.open(), 0u);
}

TEST(ConnectionTable, AFailedHandshakeIsOfTheConnectionThatEndsNext) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000");
  table.on_accepted(8, "10.0.0.3:5000");
  table.on_handshake_failed(Why::kTimeout);
  EXPECT_EQ(reason(table.on_closed(8)), "timeout 10.0.0.3:5000");
  table.on_handshake_failed(Why::kNoKey);
  EXPECT_EQ(reason(table.on_closed(7)), "no_key 10.0.0.2:5000");
}

TEST(ConnectionTable, WhatEndsWithoutAWordDidNotSpeakZmtp) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000");
  EXPECT_EQ(reason(table.on_closed(7)), "malformed 10.0.0.2:5000");
}

TEST(ConnectionTable, ARefusedKeyIsOfAConnectionOfItsHost) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000");
  table.on_accepted(8, "[fe80::1]:6000");
  table.on_key_refused("fe80::1");
  EXPECT_EQ(reason(table.on_closed(7)), "malformed 10.0.0.2:5000");
  EXPECT_EQ(reason(table.on_closed(8)), "unknown_key [fe80::1]:6000");
}

TEST(ConnectionTable, OneThatSucceededAmongOthersIsKnownByItsMessages) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000");
  table.on_accepted(8, "10.0.0.3:5000");
  table.on_handshake_succeeded();  // of 7, which nobody says
  table.on_message(7, "ada");
  EXPECT_EQ(reason(table.on_closed(8)), "malformed 10.0.0.3:5000");
  EXPECT_EQ(reason(table.on_closed(7)), "came in");
}

TEST(ConnectionTable, OfTwoThatEndTogetherOneIsCounted) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000");
  table.on_accepted(8, "10.0.0.3:5000");
  table.on_handshake_succeeded();
  int refused = 0;
  for (const int fd : {7, 8}) refused += table.on_closed(fd).has_value() ? 1 : 0;
  EXPECT_EQ(refused, 1);
}

TEST(ConnectionTable, OneTooManyIsToBeClosedAndToldAsSuch) {
  ConnectionTable table({.open_max = 2});
  EXPECT_TRUE(table.on_accepted(1, "10.0.0.1:1"));
  EXPECT_TRUE(table.on_accepted(2, "10.0.0.2:1"));
  EXPECT_FALSE(table.on_accepted(3, "10.0.0.3:1"));
  table.on_handshake_failed(Why::kLeft);  // for it was closed
  EXPECT_EQ(reason(table.on_closed(3)), "full 10.0.0.3:1");
  table.on_closed(1);
  EXPECT_TRUE(table.on_accepted(4, "10.0.0.4:1"));
}

TEST(ConnectionTable, AHostsFloodOfSilentOnesLeavesOthersTheirRoom) {
  ConnectionTable table({.open_max = 100, .unproven_per_host_max = 3});
  for (int fd = 0; fd < 3; ++fd) EXPECT_TRUE(table.on_accepted(fd, "10.0.0.66:1"));
  EXPECT_FALSE(table.on_accepted(3, "10.0.0.66:1"));
  EXPECT_TRUE(table.on_accepted(4, "10.0.0.2:1"));
  table.on_message(4, "ada");
  // One of the flood proves its key, and makes room for one more.
  table.on_message(0, "eve");
  table.on_closed(3);
  EXPECT_TRUE(table.on_accepted(5, "10.0.0.66:1"));
}

TEST(ConnectionTable, FindsTheConnectionsOfAUser) {
  ConnectionTable table({});
  for (const int fd : {1, 2, 3}) table.on_accepted(fd, "10.0.0.2:1");
  table.on_message(1, "ada");
  table.on_message(2, "eve");
  table.on_message(3, "ada");
  EXPECT_THAT(table.of_user("ada"), UnorderedElementsAre(1, 3));
  table.on_closed(1);
  EXPECT_THAT(table.of_user("ada"), UnorderedElementsAre(3));
}

TEST(ConnectionTable, ADescriptorThatIsUsedAgainBeginsAnew) {
  ConnectionTable table({});
  table.on_accepted(7, "10.0.0.2:5000");
  table.on_message(7, "ada");
  table.on_accepted(7, "10.0.0.3:5000");
  EXPECT_TRUE(table.of_user("ada").empty());
  EXPECT_EQ(table.open(), 1u);
}

}  // namespace
}  // namespace fanfare
