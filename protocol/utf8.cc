#include "protocol/utf8.h"

namespace fanfare::protocol {

std::string to_utf8(std::string_view bytes, std::size_t bytes_max) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = utf8_sequence(bytes);
    const std::string_view piece = length == 0 ? kReplacement : bytes.substr(0, length);
    if (text.size() + piece.size() > bytes_max) break;
    text += piece;
    bytes.remove_prefix(length == 0 ? 1 : length);
  }
  return text;
}

}  // namespace fanfare::protocol
