// Decimal numbers with a unit behind them, read exactly: what durations and sizes are written in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fanfare {

struct Decimal {
  std::string_view whole, fraction;  // digits before and after the point, at least one in all
  std::string_view unit;             // what follows, blanks around it removed
};

// Splits "1.5 GiB". Nothing if it does not begin with a digit or a point before a digit.
std::optional<Decimal> split_decimal(std::string_view text);

// The number times `unit`; nothing if that is not whole or over `max`.
std::optional<std::uint64_t> scale(const Decimal& number, std::uint64_t unit, std::uint64_t max);

}  // namespace fanfare
