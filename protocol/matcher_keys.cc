#include "protocol/matcher_keys.h"

#include <algorithm>
#include <bit>

namespace fanfare::protocol {
namespace {

constexpr std::uint64_t kOdd = 0xD6E8FEB86659FD93u;
// A longer text gives no better key.
constexpr std::size_t kPiecesMax = 32;

Key text_key(Key::Kind kind, std::string_view text) {
  Key key{.kind = kind, .length = static_cast<std::uint32_t>(text.size()), .hash = 0};
  const auto keep = [&](std::uint32_t, std::uint64_t hash) { key.hash = hash; };
  if (kind == Key::Kind::kSuffix || kind == Key::Kind::kFoldedSuffix) {
    each_suffix(text, {key.length}, keep);
  } else {
    each_prefix(text, {key.length}, keep);
  }
  if (kind == Key::Kind::kText || kind == Key::Kind::kFoldedText) key.length = 0;
  return key;
}

Key affix_key(Key::Kind plain, Key::Kind folded, const Alternative& alternative) {
  if (alternative.text.empty()) return {};
  return text_key(alternative.any_case ? folded : plain, alternative.text);
}

// By how it begins, how it ends, or any few bytes that it has in between.
std::vector<Key> wildcard_keys(const std::vector<std::string>& pieces) {
  if (pieces.size() == 1) return {text_key(Key::Kind::kText, pieces.front())};
  std::vector<Key> keys;
  if (!pieces.front().empty()) keys.push_back(text_key(Key::Kind::kPrefix, pieces.front()));
  if (!pieces.back().empty()) keys.push_back(text_key(Key::Kind::kSuffix, pieces.back()));
  std::size_t longest = 0;
  for (std::size_t i = 1; i + 1 < pieces.size(); ++i) {
    longest = std::max(longest, std::min(pieces[i].size(), kPieceMax));
  }
  for (std::size_t i = 1; i + 1 < pieces.size() && longest > 0; ++i) {
    const std::string& piece = pieces[i];
    for (std::size_t at = 0; at + longest <= piece.size() && keys.size() < kPiecesMax; ++at) {
      keys.push_back({.kind = Key::Kind::kPiece,
                      .length = static_cast<std::uint32_t>(longest),
                      .hash = hash_piece(piece.data() + at, longest)});
    }
  }
  if (keys.empty()) keys.emplace_back();
  return keys;
}

std::vector<Key> range_keys(const Alternative& range) {
  if (range.number == range.number_max) {
    return {{.kind = Key::Kind::kNumber, .length = 0, .hash = hash_number(range.number)}};
  }
  const std::uint64_t ends = (range.min_inside ? 1u : 0u) | (range.max_inside ? 2u : 0u);
  const std::uint64_t hash =
      mix(hash_number(range.number) ^ ends, hash_number(range.number_max) ^ kOdd);
  return {{.kind = Key::Kind::kRange, .length = 0, .hash = hash, .range = &range}};
}

}  // namespace

std::uint64_t hash_number(double number) {
  return mix(std::bit_cast<std::uint64_t>(number + 0.0), kOdd);  // -0.0 + 0.0 is 0.0
}

std::uint64_t hash_flag(bool flag) {
  return flag ? 1 : 2;
}

std::uint64_t hash_null() {
  return 3;
}

std::uint64_t hash_address(const Cidr& parsed, std::uint32_t length) {
  const std::uint32_t bits = length & 0xFF;
  std::array<char, 16> masked{};
  for (std::uint32_t byte = 0; byte * 8 < bits; ++byte) {
    const std::uint32_t kept = std::min(8u, bits - byte * 8);
    masked[byte] = static_cast<char>(parsed.address[byte] & (0xFF00u >> kept));
  }
  return mix(hash_text({masked.data(), masked.size()}), kOdd ^ length);
}

std::vector<Key> keys_of(const Alternative& alternative) {
  switch (alternative.kind) {
    case Alternative::Kind::kString:
      return {text_key(alternative.any_case ? Key::Kind::kFoldedText : Key::Kind::kText,
                       alternative.text)};
    case Alternative::Kind::kPrefix:
      return {affix_key(Key::Kind::kPrefix, Key::Kind::kFoldedPrefix, alternative)};
    case Alternative::Kind::kSuffix:
      return {affix_key(Key::Kind::kSuffix, Key::Kind::kFoldedSuffix, alternative)};
    case Alternative::Kind::kWildcard:
      return wildcard_keys(alternative.pieces);
    case Alternative::Kind::kNumber:
      return {{.kind = Key::Kind::kNumber, .length = 0, .hash = hash_number(alternative.number)}};
    case Alternative::Kind::kNumeric:
      return range_keys(alternative);
    case Alternative::Kind::kBool:
      return {{.kind = Key::Kind::kFlag, .length = 0, .hash = hash_flag(alternative.flag)}};
    case Alternative::Kind::kNull:
      return {{.kind = Key::Kind::kFlag, .length = 0, .hash = hash_null()}};
    case Alternative::Kind::kCidr: {
      const std::uint32_t length = address_length(alternative.cidr.bytes, alternative.cidr.bits);
      return {{.kind = Key::Kind::kAddress,
               .length = length,
               .hash = hash_address(alternative.cidr, length)}};
    }
    case Alternative::Kind::kExists:
      if (!alternative.flag) return {};
      return {{}};
    case Alternative::Kind::kAnythingBut:
      return {{}};
  }
  return {{}};
}

}  // namespace fanfare::protocol
