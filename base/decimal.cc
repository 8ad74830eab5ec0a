#include "base/decimal.h"

namespace fanfare {
namespace {

std::string_view take_digits(std::string_view& text) {
  const auto end = text.find_first_not_of("0123456789");
  const std::string_view digits = text.substr(0, end);
  text.remove_prefix(digits.size());
  return digits;
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::optional<Decimal> split_decimal(std::string_view text) {
  text = trim(text);
  Decimal number;
  number.whole = take_digits(text);
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    number.fraction = take_digits(text);
    if (number.fraction.empty()) return std::nullopt;
  }
  if (number.whole.empty() && number.fraction.empty()) return std::nullopt;
  number.unit = trim(text);
  return number;
}

std::optional<std::uint64_t> scale(const Decimal& number, std::uint64_t unit, std::uint64_t max) {
  std::uint64_t units = 0;
  for (const char digit : number.whole) {
    const auto value = static_cast<std::uint64_t>(digit - '0');
    if (units > (max - value) / 10) return std::nullopt;
    units = units * 10 + value;
  }
  if (units > max / unit) return std::nullopt;
  const std::uint64_t total = units * unit;
  std::uint64_t worth = unit;
  std::uint64_t numerator = 0, denominator = 1;  // of the fraction
  for (const char digit : number.fraction) {
    if (denominator > UINT64_MAX / 1000) {
      if (digit != '0') return std::nullopt;
      continue;
    }
    numerator = numerator * 10 + static_cast<std::uint64_t>(digit - '0');
    denominator *= 10;
  }
  // unit × numerator ÷ denominator, without leaving 64 bits: cancel what is common first.
  for (const std::uint64_t prime : {2u, 5u}) {
    while (denominator % prime == 0 && worth % prime == 0) {
      denominator /= prime;
      worth /= prime;
    }
    while (denominator % prime == 0 && numerator % prime == 0) {
      denominator /= prime;
      numerator /= prime;
    }
  }
  if (denominator != 1) return std::nullopt;
  if (numerator != 0 && worth > (max - total) / numerator) return std::nullopt;
  return total + worth * numerator;
}

}  // namespace fanfare
