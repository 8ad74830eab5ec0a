#include "protocol/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace fanfare::protocol {

std::optional<Cidr> parse_address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size()) return std::nullopt;
  std::ranges::copy(text, terminated.begin());
  Cidr parsed;
  if (inet_pton(AF_INET, terminated.data(), parsed.address.data()) == 1) {
    parsed.bytes = 4;
  } else if (inet_pton(AF_INET6, terminated.data(), parsed.address.data()) == 1) {
    parsed.bytes = 16;
  } else {
    return std::nullopt;
  }
  parsed.bits = static_cast<std::uint8_t>(parsed.bytes * 8);
  return parsed;
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  const std::size_t slash = text.find('/');
  auto parsed = parse_address(text.substr(0, slash));
  if (!parsed || slash == std::string_view::npos) return parsed;
  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc{} || end != digits.data() + digits.size() || bits > parsed->bits) {
    return std::nullopt;
  }
  parsed->bits = static_cast<std::uint8_t>(bits);
  return parsed;
}

bool Cidr::contains(std::string_view text) const {
  const auto other = parse_address(text);
  if (!other || other->bytes != bytes) return false;
  const std::size_t whole = bits / 8;
  if (!std::equal(address.begin(), address.begin() + static_cast<std::ptrdiff_t>(whole),
                  other->address.begin())) {
    return false;
  }
  if (bits % 8 == 0) return true;
  const unsigned mask = 0xFFu << (8 - bits % 8);
  return ((address[whole] ^ other->address[whole]) & mask & 0xFFu) == 0;
}

}  // namespace fanfare::protocol
