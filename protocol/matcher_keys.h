// How a matcher finds the branches that a value of an event may concern, without a look at the
// others: each alternative of a test has keys, and each value has those of all alternatives that it
// could satisfy. Keys are hashes and no proof: whoever is found by one is still held against the
// alternative itself. What an alternative says is never true of a value that has none of its keys.
//
// Of the matcher alone.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "protocol/pattern.h"

namespace fanfare::protocol {

struct Key {
  enum class Kind : std::uint8_t {
    kText,
    kPrefix,
    kSuffix,
    kFoldedText,  // these three of texts without their case
    kFoldedPrefix,
    kFoldedSuffix,
    kPiece,    // of up to kPieceMax bytes somewhere in a text
    kNumber,   // one
    kRange,    // of numbers
    kFlag,     // true, false, null
    kAddress,  // the first bits of an IP address
    kAny       // any value
  };
  Kind kind = Kind::kAny;
  std::uint32_t length = 0;  // prefixes, suffixes, kPiece: in bytes; kAddress: see address_length
  std::uint64_t hash = 0;
  const Alternative* range = nullptr;  // kRange; the pattern's
};

// An alternative can be found by any one of these; by nothing if it is about absence.
std::vector<Key> keys_of(const Alternative& alternative);

inline constexpr std::size_t kPieceMax = 4;

std::uint64_t hash_number(double number);
std::uint64_t hash_flag(bool flag);
std::uint64_t hash_null();
// `parsed` is an address; of its first bits, as many as `length` says.
std::uint64_t hash_address(const Cidr& parsed, std::uint32_t length);
inline std::uint32_t address_length(std::uint32_t bytes, std::uint32_t bits) {
  return bytes << 8 | bits;
}

// Two numbers as one that looks like neither.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <typename Word>
std::uint64_t load(const char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// Up to seven bytes, of which some may be there twice: their number is to be hashed as well.
inline std::uint64_t load_rest(const char* at, std::size_t bytes) {
  if (bytes >= 4) return load<std::uint32_t>(at) | load<std::uint32_t>(at + bytes - 4) << 32;
  if (bytes >= 2) return load<std::uint16_t>(at) | load<std::uint16_t>(at + bytes - 2) << 16;
  return bytes == 1 ? load<std::uint8_t>(at) : 0;
}

// Of one to kPieceMax bytes: they themselves, and how many.
inline std::uint64_t hash_piece(const char* at, std::size_t length) {
  return (load_rest(at, length) & 0xFFFFFFFFu) | std::uint64_t{length} << 32;
}

// How a text is hashed: eight bytes at a time, and then the rest and the length.
class RunningHash {
 public:
  void add(const char* eight_bytes) {
    state_ = mix(state_ ^ load<std::uint64_t>(eight_bytes), kOdd);
  }
  // With `rest` bytes more, less than eight. May be asked again after further bytes.
  std::uint64_t with(const char* at, std::size_t rest, std::size_t length) const {
    return mix(state_ ^ load_rest(at, rest), kOdd ^ length);
  }

 private:
  static constexpr std::uint64_t kOdd = 0xD6E8FEB86659FD93u;
  std::uint64_t state_ = 0x9E3779B97F4A7C15u;
};

inline std::uint64_t hash_text(std::string_view text) {
  RunningHash hash;
  std::size_t done = 0;
  for (; done + 8 <= text.size(); done += 8) hash.add(text.data() + done);
  return hash.with(text.data() + done, text.size() - done, text.size());
}

// Calls `found` with each of `lengths`, ascending, that the text has, and the hash of so many of
// its first, or last, bytes. Together they cost one way through the text, up to the longest.
template <typename Found>
void each_prefix(std::string_view text, const std::vector<std::uint32_t>& lengths, Found&& found) {
  RunningHash hash;
  std::size_t done = 0;
  for (const std::uint32_t length : lengths) {
    if (length > text.size()) return;
    for (; done + 8 <= length; done += 8) hash.add(text.data() + done);
    found(length, hash.with(text.data() + done, length - done, length));
  }
}

template <typename Found>
void each_suffix(std::string_view text, const std::vector<std::uint32_t>& lengths, Found&& found) {
  RunningHash hash;
  const char* const end = text.data() + text.size();
  std::size_t done = 0;
  for (const std::uint32_t length : lengths) {
    if (length > text.size()) return;
    for (; done + 8 <= length; done += 8) hash.add(end - done - 8);
    found(length, hash.with(end - length, length - done, length));
  }
}

}  // namespace fanfare::protocol
