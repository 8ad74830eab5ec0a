#include "protocol/fold_case.h"

#include <clocale>
#include <cstdint>
#include <cwctype>

namespace fanfare::protocol {
namespace {

locale_t utf8_locale() {
  static const locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return locale;
}

char fold_ascii(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::uint32_t bits_of(char byte) {
  return static_cast<unsigned char>(byte);
}

// The character of two or three bytes at the beginning: all that has a case, but for some dead
// scripts. 0 if it is of another length, or none.
std::uint32_t decode(std::string_view text, std::size_t& bytes) {
  const std::uint32_t first = bits_of(text[0]);
  bytes = first >= 0xC2 && first < 0xE0 ? 2 : first >= 0xE0 && first < 0xF0 ? 3 : 1;
  if (bytes == 1 || bytes > text.size()) return 0;
  std::uint32_t code = bytes == 2 ? first & 0x1F : first & 0x0F;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((bits_of(text[i]) & 0xC0) != 0x80) return 0;
    code = code << 6 | (bits_of(text[i]) & 0x3F);
  }
  return code;
}

void append(std::string& out, std::uint32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace

std::string fold_case(std::string_view text) {
  std::string folded;
  folded.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    std::size_t bytes = 1;
    const std::uint32_t code = bits_of(text[at]) < 0x80 ? 0 : decode(text.substr(at), bytes);
    if (code == 0) {
      folded += fold_ascii(text[at++]);
      continue;
    }
    const auto lower = static_cast<std::uint32_t>(towlower_l(code, utf8_locale()));
    append(folded, lower < 0x10000 ? lower : code);
    at += bytes;
  }
  return folded;
}

}  // namespace fanfare::protocol
