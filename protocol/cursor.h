// Reads msgpack in place, one value after the other, and trusts nothing it reads.
//
// Events pass through three processes and are read in each; this reader hands out views into the
// bytes and allocates nothing, whatever the bytes say. The first thing that is wrong makes it fail
// for good: every later read returns an empty value at once, so callers read a whole structure and
// ask once at the end. Tests hold it against the msgpack library.
//
// Bounds: a container's count never exceeds the bytes that are left (each element takes one at
// least) nor kElementsMax; values that are skipped nest at most as deep as the caller allows.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare::protocol {

class Cursor {
 public:
  static constexpr std::uint32_t kElementsMax = 65536;

  explicit Cursor(std::string_view bytes)
      : begin_(bytes.data()), at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return failure_ == nullptr; }
  bool at_end() const { return at_ == end_; }
  std::size_t offset() const { return static_cast<std::size_t>(at_ - begin_); }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  // What was read between two offsets.
  std::string_view between(std::size_t from, std::size_t to) const {
    return {begin_ + from, to - from};
  }

  std::uint32_t array();
  std::uint32_t map();
  std::uint64_t unsigned_integer(std::uint64_t max = std::numeric_limits<std::uint64_t>::max());
  std::int64_t integer();
  bool boolean();
  std::string_view str();
  std::string_view bin();
  // Consumes a nil and says whether there was one.
  bool nil();
  // Steps over one value of any type that nests at most `depth` containers deep.
  void skip(int depth);

  // Fails for good, unless it already had; what is said first is what is reported.
  void fail(const char* what);
  // "expected a string at byte 17", once it has failed.
  Error error() const;

 private:
  static constexpr std::uint8_t kNothing = 0xC1;  // the one byte msgpack never uses

  std::uint8_t tag() {
    if (at_ == end_) {
      fail("truncated");
      return kNothing;
    }
    return static_cast<std::uint8_t>(*at_++);
  }
  // The value of a big-endian integer of type T.
  template <typename T>
  T number() {
    if (remaining() < sizeof(T)) {
      fail("truncated");
      return 0;
    }
    T value;
    std::memcpy(&value, at_, sizeof(T));
    at_ += sizeof(T);
    if constexpr (sizeof(T) == 2) value = __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) value = __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) value = __builtin_bswap64(value);
    return value;
  }
  std::string_view take(std::size_t size) {
    if (remaining() < size) {
      fail("truncated");
      return {};
    }
    const std::string_view taken{at_, size};
    at_ += size;
    return taken;
  }
  // A wrong tag: the failure is at the tag itself, which has been read already.
  void wrong(const char* what) {
    if (ok()) --at_;
    fail(what);
  }
  std::uint32_t count(std::uint32_t announced, std::uint32_t bytes_per_element);
  void skip_bytes(std::uint8_t tag);

  const char* begin_;
  const char* at_;
  const char* end_;
  const char* failure_ = nullptr;
  std::size_t failed_at_ = 0;
};

static_assert(std::endian::native == std::endian::little, "number() swaps bytes");

inline std::uint32_t Cursor::count(std::uint32_t announced, std::uint32_t bytes_per_element) {
  if (announced > kElementsMax) {
    fail("too many elements");
    return 0;
  }
  if (announced * std::uint64_t{bytes_per_element} > remaining()) {
    fail("truncated");
    return 0;
  }
  return announced;
}

inline std::uint32_t Cursor::array() {
  const std::uint8_t t = tag();
  if ((t & 0xF0) == 0x90) return count(t & 0x0F, 1);
  if (t == 0xDC) return count(number<std::uint16_t>(), 1);
  if (t == 0xDD) return count(number<std::uint32_t>(), 1);
  wrong("expected an array");
  return 0;
}

inline std::uint32_t Cursor::map() {
  const std::uint8_t t = tag();
  if ((t & 0xF0) == 0x80) return count(t & 0x0F, 2);
  if (t == 0xDE) return count(number<std::uint16_t>(), 2);
  if (t == 0xDF) return count(number<std::uint32_t>(), 2);
  wrong("expected a map");
  return 0;
}

inline std::int64_t Cursor::integer() {
  const std::uint8_t t = tag();
  if (t < 0x80) return t;
  if (t >= 0xE0) return static_cast<std::int8_t>(t);
  switch (t) {
    case 0xCC:
      return number<std::uint8_t>();
    case 0xCD:
      return number<std::uint16_t>();
    case 0xCE:
      return number<std::uint32_t>();
    case 0xCF: {
      const auto value = number<std::uint64_t>();
      if (value <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
        return static_cast<std::int64_t>(value);
      }
      fail("integer out of range");
      return 0;
    }
    case 0xD0:
      return static_cast<std::int8_t>(number<std::uint8_t>());
    case 0xD1:
      return static_cast<std::int16_t>(number<std::uint16_t>());
    case 0xD2:
      return static_cast<std::int32_t>(number<std::uint32_t>());
    case 0xD3:
      return static_cast<std::int64_t>(number<std::uint64_t>());
    default:
      wrong("expected an integer");
      return 0;
  }
}

inline std::uint64_t Cursor::unsigned_integer(std::uint64_t max) {
  std::uint64_t value;
  if (at_ != end_ && static_cast<std::uint8_t>(*at_) == 0xCF) {
    ++at_;
    value = number<std::uint64_t>();
  } else {
    const std::int64_t read = integer();
    value = read < 0 ? max : static_cast<std::uint64_t>(read);
    if (read < 0) fail("expected an integer that is not negative");
  }
  if (value <= max) return value;
  fail("integer out of range");
  return 0;
}

inline bool Cursor::boolean() {
  const std::uint8_t t = tag();
  if (t == 0xC2 || t == 0xC3) return t == 0xC3;
  wrong("expected true or false");
  return false;
}

inline std::string_view Cursor::str() {
  const std::uint8_t t = tag();
  if ((t & 0xE0) == 0xA0) return take(t & 0x1F);
  if (t == 0xD9) return take(number<std::uint8_t>());
  if (t == 0xDA) return take(number<std::uint16_t>());
  if (t == 0xDB) return take(number<std::uint32_t>());
  wrong("expected a string");
  return {};
}

inline std::string_view Cursor::bin() {
  const std::uint8_t t = tag();
  if (t == 0xC4) return take(number<std::uint8_t>());
  if (t == 0xC5) return take(number<std::uint16_t>());
  if (t == 0xC6) return take(number<std::uint32_t>());
  wrong("expected binary data");
  return {};
}

inline bool Cursor::nil() {
  if (at_ == end_ || static_cast<std::uint8_t>(*at_) != 0xC0) return false;
  ++at_;
  return true;
}

}  // namespace fanfare::protocol
