#include "functions/notify/address.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <cstring>
#include <string>

namespace notify {
namespace {

using ::testing::HasSubstr;

std::string judged(const std::string& text) {
  sockaddr_storage storage{};
  auto* const four = reinterpret_cast<sockaddr_in*>(&storage);
  auto* const six = reinterpret_cast<sockaddr_in6*>(&storage);
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
  } else if (inet_pton(AF_INET6, text.c_str(), &six->sin6_addr) == 1) {
    six->sin6_family = AF_INET6;
  } else {
    ADD_FAILURE() << text << " is no address";
  }
  return why_private(*reinterpret_cast<const sockaddr*>(&storage));
}

TEST(WebhookAddress, RefusesWhatIsNotPublic) {
  for (const char* text :
       {"0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255",
        "127.0.0.1", "127.255.255.255", "169.254.0.0", "169.254.169.254", "172.16.0.0",
        "172.31.255.255", "192.0.0.0", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.0",
        "192.168.255.255", "198.18.0.0", "198.19.255.255", "198.51.100.7", "203.0.113.7",
        "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        // IPv6
        "::", "::1", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1",
        "2001::1", "2001:1ff::1", "2001:db8::1", "3fff::1", "3fff:fff::1", "100::1", "4000::1",
        "64:ff9b:1::a00:1", "5f00::1", "::127.0.0.1", "::ffff:0:127.0.0.1",
        // IPv4 within IPv6
        "::ffff:127.0.0.1", "::ffff:10.1.2.3", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1",
        "64:ff9b::169.254.169.254", "2002:7f00:1::", "2002:c0a8:101::1", "2002:a9fe:a9fe::"}) {
    EXPECT_NE(judged(text), "") << text;
  }
}

TEST(WebhookAddress, LetsPublicOnesBeAlsoThoseNextToARange) {
  for (const char* text : {"1.1.1.1",          "9.255.255.255",        "11.0.0.0",
                           "100.63.255.255",   "100.128.0.0",          "126.255.255.255",
                           "128.0.0.1",        "169.253.255.255",      "169.255.0.0",
                           "172.15.255.255",   "172.32.0.0",           "192.0.1.1",
                           "192.0.3.0",        "192.88.98.1",          "192.167.255.255",
                           "192.169.0.0",      "198.17.255.255",       "198.20.0.0",
                           "198.51.101.0",     "203.0.114.0",          "223.255.255.255",
                           "2001:200::1",      "2606:4700:4700::1111", "2a00:1450:4001::1",
                           "3ffe::1",          "3fff:1000::1",         "::ffff:8.8.8.8",
                           "64:ff9b::8.8.8.8", "2002:808:808::1"}) {
    EXPECT_EQ(judged(text), "") << text;
  }
}

TEST(WebhookAddress, SaysWhatItIs) {
  EXPECT_EQ(judged("127.0.0.1"), "127.0.0.1 (loopback, 127.0.0.0/8)");
  EXPECT_THAT(judged("169.254.169.254"), HasSubstr("a cloud's metadata"));
  EXPECT_THAT(judged("::ffff:10.0.0.1"), HasSubstr("of 10.0.0.1 (private, 10.0.0.0/8)"));
  EXPECT_THAT(judged("fd00::1"), HasSubstr("unique local"));
}

TEST(WebhookAddress, RefusesOtherFamilies) {
  sockaddr_un local{};
  local.sun_family = AF_UNIX;
  EXPECT_NE(why_private(reinterpret_cast<const sockaddr&>(local)), "");
}

}  // namespace
}  // namespace notify
