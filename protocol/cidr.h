// A range of IP addresses: "10.0.0.0/24", "2001:db8::/32", or one address.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fanfare::protocol {

struct Cidr {
  std::array<std::uint8_t, 16> address{};
  std::uint8_t bytes = 4;  // of the address: 4 or 16
  std::uint8_t bits = 0;   // of it that an address in the range has in common with it

  // Whether `text` is an address in the range. One of the other family never is.
  bool contains(std::string_view text) const;
};

// One address alone, as a range of itself. Nothing if it is none.
std::optional<Cidr> parse_address(std::string_view text);

// Nothing if it is no such range. Bits behind the prefix may be set; they do not count.
std::optional<Cidr> parse_cidr(std::string_view text);

}  // namespace fanfare::protocol
