// Big-endian integers and numbers as text, for the values that this folder lays down in Redis.
#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace fanfare::store {

// Writes it where there is room for it; returns what follows.
template <std::unsigned_integral T>
char* put_big_endian(char* at, T value) {
  for (int shift = static_cast<int>(sizeof(T) - 1) * 8; shift >= 0; shift -= 8) {
    *at++ = static_cast<char>(value >> shift & 0xFF);
  }
  return at;
}

template <std::unsigned_integral T>
void append_big_endian(std::string& out, T value) {
  char bytes[sizeof(T)];
  out.append(bytes, put_big_endian(bytes, value));
}

// The T at the front of `bytes`, which must have that many.
template <std::unsigned_integral T>
T read_big_endian(std::string_view bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(bytes[i]));
  }
  return value;
}

// The whole of `text` as a decimal number, or nothing.
template <std::integral T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end) return std::nullopt;
  return value;
}

}  // namespace fanfare::store
