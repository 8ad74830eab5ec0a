#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace notify {
namespace {

struct Range {
  const char* name;
  std::array<std::uint8_t, 16> prefix;
  unsigned bits;
  const char* text;
};

constexpr Range kRanges4[] = {
    {"this network", {0}, 8, "0.0.0.0/8"},
    {"private", {10}, 8, "10.0.0.0/8"},
    {"shared by a carrier's customers", {100, 64}, 10, "100.64.0.0/10"},
    {"loopback", {127}, 8, "127.0.0.0/8"},
    {"link-local, or a cloud's metadata", {169, 254}, 16, "169.254.0.0/16"},
    {"private", {172, 16}, 12, "172.16.0.0/12"},
    {"for protocols", {192, 0, 0}, 24, "192.0.0.0/24"},
    {"documentation", {192, 0, 2}, 24, "192.0.2.0/24"},
    {"6to4 relays", {192, 88, 99}, 24, "192.88.99.0/24"},
    {"private", {192, 168}, 16, "192.168.0.0/16"},
    {"benchmarks", {198, 18}, 15, "198.18.0.0/15"},
    {"documentation", {198, 51, 100}, 24, "198.51.100.0/24"},
    {"documentation", {203, 0, 113}, 24, "203.0.113.0/24"},
    {"multicast", {224}, 4, "224.0.0.0/4"},
    {"reserved", {240}, 4, "240.0.0.0/4"},
};

constexpr Range kRanges6[] = {
    {"for protocols, Teredo", {0x20, 0x01}, 23, "2001::/23"},
    {"documentation", {0x20, 0x01, 0x0d, 0xb8}, 32, "2001:db8::/32"},
    {"documentation", {0x3f, 0xff}, 20, "3fff::/20"},
    {"unique local", {0xfc}, 7, "fc00::/7"},
    {"link-local", {0xfe, 0x80}, 10, "fe80::/10"},
    {"site-local", {0xfe, 0xc0}, 10, "fec0::/10"},
    {"multicast", {0xff}, 8, "ff00::/8"},
    {"loopback", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128, "::1"},
    {"unspecified", {}, 128, "::"},
    {"local NAT64", {0, 0x64, 0xff, 0x9b, 0, 1}, 48, "64:ff9b:1::/48"},
};
// All that has been given out lies in here.
constexpr Range kGlobal6{"global unicast", {0x20}, 3, "2000::/3"};

// IPv6 addresses that stand for an IPv4 one, and at which byte that begins.
struct Embedding {
  Range range;
  std::size_t at;
};
constexpr Embedding kEmbeddings[] = {
    {{"mapped", {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, "::ffff:0:0/96"}, 12},
    {{"NAT64", {0, 0x64, 0xff, 0x9b}, 96, "64:ff9b::/96"}, 12},
    {{"6to4", {0x20, 0x02}, 16, "2002::/16"}, 2},
};

bool lies_in(std::span<const std::uint8_t> address, const Range& range) {
  const std::size_t whole = range.bits / 8;
  if (!std::equal(address.begin(), address.begin() + static_cast<std::ptrdiff_t>(whole),
                  range.prefix.begin())) {
    return false;
  }
  if (range.bits % 8 == 0) return true;
  const unsigned mask = 0xFFu << (8 - range.bits % 8) & 0xFFu;
  return ((address[whole] ^ range.prefix[whole]) & mask) == 0;
}

std::string shown(int family, std::span<const std::uint8_t> address, const char* what,
                  const char* range) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(family, address.data(), text, sizeof text);
  return std::string(text) + " (" + what + ", " + range + ")";
}

std::string judge4(std::span<const std::uint8_t> address) {
  for (const Range& range : kRanges4) {
    if (lies_in(address, range)) return shown(AF_INET, address, range.name, range.text);
  }
  return {};
}

std::string judge6(std::span<const std::uint8_t> address) {
  for (const Embedding& embedding : kEmbeddings) {
    if (!lies_in(address, embedding.range)) continue;
    const std::string inner = judge4(address.subspan(embedding.at, 4));
    if (inner.empty()) return {};
    return shown(AF_INET6, address, embedding.range.name, embedding.range.text) + " of " + inner;
  }
  for (const Range& range : kRanges6) {
    if (lies_in(address, range)) return shown(AF_INET6, address, range.name, range.text);
  }
  if (lies_in(address, kGlobal6)) return {};
  return shown(AF_INET6, address, "given to nobody", "outside of 2000::/3");
}

}  // namespace

std::string why_private(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, &address, sizeof in);
    std::array<std::uint8_t, 4> bytes;
    std::memcpy(bytes.data(), &in.sin_addr, bytes.size());
    return judge4(bytes);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, &address, sizeof in);
    std::array<std::uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &in.sin6_addr, bytes.size());
    return judge6(bytes);
  }
  return "an address of another family than IPv4 and IPv6";
}

}  // namespace notify
