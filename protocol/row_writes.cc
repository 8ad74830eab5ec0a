#include "protocol/row_writes.h"

#include <algorithm>
#include <charconv>

#include "base/utf8.h"

namespace fanfare::protocol {
namespace {

template <typename T>
void append_number(std::string& out, T value) {
  for (int shift = static_cast<int>(sizeof(T) - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift & 0xFF));
  }
}

template <typename T>
T read_number(std::string_view bytes) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(bytes[i]));
  }
  return value;
}

Result<void> check_text(std::string_view text, const char* what) {
  if (text.size() > kRowKeyMax) {
    return reject(std::string{what} + " has " + std::to_string(text.size()) +
                  " bytes, the limit is " + std::to_string(kRowKeyMax));
  }
  if (!is_utf8(text)) return reject(std::string{what} + " is not UTF-8");
  const bool control = std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (control) return reject(std::string{what} + " has a control character in it");
  return {};
}

}  // namespace

void append_write(std::string& packed, const RowWrite& write) {
  packed.push_back(static_cast<char>(write.kind));
  append_number(packed, static_cast<std::uint16_t>(write.key.size()));
  append_number(packed, static_cast<std::uint32_t>(write.value.size()));
  packed.append(write.key);
  append_number(packed, static_cast<std::uint64_t>(write.expires_ms));
  packed.append(write.value);
}

Result<RowWrite> take_write(std::string_view& packed) {
  const auto cut_off = [] { return reject("a write that ends too early"); };
  if (packed.size() < kRowWriteHead) return cut_off();
  RowWrite write;
  write.kind = static_cast<RowWrite::Kind>(packed[0]);
  const std::size_t key_size = read_number<std::uint16_t>(packed.substr(1));
  const std::size_t value_size = read_number<std::uint32_t>(packed.substr(3));
  packed.remove_prefix(kRowWriteHead);
  if (packed.size() < key_size + kRowExpiryBytes ||
      packed.size() - key_size - kRowExpiryBytes < value_size) {
    return cut_off();
  }
  write.key = packed.substr(0, key_size);
  write.expires_ms = static_cast<std::int64_t>(read_number<std::uint64_t>(packed.substr(key_size)));
  write.value = packed.substr(key_size + kRowExpiryBytes, value_size);
  packed.remove_prefix(key_size + kRowExpiryBytes + value_size);
  return write;
}

Result<RowWritesSize> check_writes(std::string_view packed) {
  RowWritesSize size;
  while (!packed.empty()) {
    const auto write = take_write(packed);
    if (!write) return write.error();
    if (auto fine = check_row_key(write->key); !fine) return fine.error();
    if (write->value.size() > kRowValueMax) return reject("the value of a row is too large");
    if (write->expires_ms < 0) return reject("a row that expires before time began");
    std::int64_t number = 0;
    switch (write->kind) {
      case RowWrite::Kind::kPut:
        break;
      case RowWrite::Kind::kErase:
        if (!write->value.empty()) return reject("an erasure with a value");
        break;
      case RowWrite::Kind::kIncrement:
        if (!parse_row_number(write->value, number)) return reject("an increment by no number");
        break;
      default:
        return reject("a write of an unknown kind");
    }
    ++size.writes;
    size.bytes += write->key.size() + write->value.size();
  }
  if (size.writes > kRowWritesMax) return reject("too many writes in one attempt");
  if (size.bytes > kRowWriteBytesMax) return reject("too many bytes written in one attempt");
  return size;
}

Result<void> check_row_key(std::string_view key) {
  if (key.empty()) return reject("a key is empty");
  return check_text(key, "a key");
}

Result<void> check_row_prefix(std::string_view prefix) {
  return check_text(prefix, "a prefix");
}

bool parse_row_number(std::string_view text, std::int64_t& number) {
  if (text.empty() || text.size() > 17) return false;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  return parsed.ec == std::errc{} && parsed.ptr == end && number >= -kRowNumberMax &&
         number <= kRowNumberMax;
}

}  // namespace fanfare::protocol
