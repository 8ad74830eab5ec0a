#include "triggers/http.h"

#include "base/utf8.h"

namespace fanfare::triggers {
namespace {

// Nothing if an escape is broken.
std::optional<std::string> decode_segment(std::string_view raw) {
  std::string decoded;
  decoded.reserve(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    char byte = raw[i];
    if (byte == '%') {
      const int high = i + 2 < raw.size() ? hex_digit(raw[i + 1]) : -1;
      const int low = high >= 0 ? hex_digit(raw[i + 2]) : -1;
      if (low < 0) return std::nullopt;
      byte = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7f) return std::nullopt;
    decoded.push_back(byte);
  }
  if (!is_utf8(decoded) || decoded == "." || decoded == "..") return std::nullopt;
  return decoded;
}

}  // namespace

std::string lower_case(std::string_view text) {
  std::string all{text};
  for (char& byte : all) byte = static_cast<char>(byte >= 'A' && byte <= 'Z' ? byte + 32 : byte);
  return all;
}

int hex_digit(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

std::string media_type(std::string_view content_type) {
  content_type = content_type.substr(0, content_type.find(';'));
  while (content_type.ends_with(' ')) content_type.remove_suffix(1);
  return lower_case(content_type);
}

std::optional<std::vector<std::string>> path_of(std::string_view target) {
  if (!target.starts_with('/')) return std::nullopt;
  std::string_view path = target.substr(0, target.find('?'));
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    auto segment = decode_segment(path.substr(0, end));
    if (!segment) return std::nullopt;
    segments.push_back(*std::move(segment));
    path.remove_prefix(end);
  }
  return segments;
}

std::string_view query_of(std::string_view target) {
  const std::size_t mark = target.find('?');
  return mark == target.npos ? std::string_view{} : target.substr(mark + 1);
}

}  // namespace fanfare::triggers
