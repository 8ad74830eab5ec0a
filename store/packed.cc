#include "store/packed.h"

#include <cstring>

#include "store/bytes.h"

namespace fanfare::store {

char* put_packed(char* at, std::uint8_t index, std::string_view bytes, std::string_view more) {
  const std::size_t size = bytes.size() + more.size();
  *at++ = static_cast<char>(index);
  for (int shift = 24; shift >= 0; shift -= 8) *at++ = static_cast<char>(size >> shift & 0xFF);
  for (const std::string_view piece : {bytes, more}) {
    if (!piece.empty()) std::memcpy(at, piece.data(), piece.size());
    at += piece.size();
  }
  return at;
}

std::optional<std::pair<std::uint8_t, std::uint8_t>> parse_result_field(std::string_view field) {
  const std::size_t dash = field.find('-');
  const auto first = parse_number<std::uint8_t>(field.substr(0, dash));
  if (!first || dash == field.npos)
    return first ? std::optional(std::pair(*first, *first)) : std::nullopt;
  const auto last = parse_number<std::uint8_t>(field.substr(dash + 1));
  if (!last || *last <= *first) return std::nullopt;
  return std::pair(*first, *last);
}

}  // namespace fanfare::store
