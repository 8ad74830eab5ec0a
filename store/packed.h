// What several deliveries of one entry have, in one value of Redis: events of a journal's entry,
// and results that were committed together. Per delivery: index u8 | length u32 big-endian | bytes.
// docs/redis.md shows both; store/library/packed.lua is the other side of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace fanfare::store {

inline constexpr std::string_view kEventsField = "events";
inline constexpr std::size_t kPackedHead = 5;
// A field of `results`, empty: some of the others are about several indexes.
inline constexpr std::string_view kSpansField = "spans";

// Writes one delivery's bytes, of which there may be two pieces, at `at`, where kPackedHead and
// their sizes have room. Returns where the next one goes.
char* put_packed(char* at, std::uint8_t index, std::string_view bytes, std::string_view more = {});

// The indexes that a field of `results` is about: "7", or "7-21" for several. Nothing: it is none.
std::optional<std::pair<std::uint8_t, std::uint8_t>> parse_result_field(std::string_view field);

// What Redis answers to fanfare2_result while no program of this release has been there: then the
// data are of layout 1, where a result is the field of its index. (Or somebody has deleted the
// functions; the next program that changes something loads them again.)
inline bool lacks_function(std::string_view error) {
  return error.find("Function not found") != error.npos;
}

// Calls each(index, bytes) of all in order; views into `packed`. Rejects what is cut off.
template <typename Each>
Result<void> for_each_packed(std::string_view packed, Each each) {
  while (!packed.empty()) {
    if (packed.size() < kPackedHead) return reject("a packed value ends within a head");
    std::size_t size = 0;
    for (std::size_t i = 1; i < kPackedHead; ++i) {
      size = size << 8 | static_cast<unsigned char>(packed[i]);
    }
    if (packed.size() - kPackedHead < size) return reject("a packed value is cut off");
    each(static_cast<std::uint8_t>(packed.front()), packed.substr(kPackedHead, size));
    packed.remove_prefix(kPackedHead + size);
  }
  return {};
}

// The events of a journal's entry by one of its fields, whichever layout it was written in. An
// empty value is none: whoever reads an entry fetches what lies beside it.
template <typename Each>
Result<void> for_each_event(std::string_view field, std::string_view value, Each each) {
  if (value.empty()) return reject("its events lie beside the entry");
  if (field == kEventsField) return for_each_packed(value, each);
  const auto indexes = parse_result_field(field);
  if (!indexes || indexes->first != indexes->second) return reject("a field is no index");
  each(indexes->first, value);
  return {};
}

// The results of one field of `results`, as they are stored (view_stored_result). An empty value is
// none: whoever reads them fetches what lies beside.
template <typename Each>
Result<void> for_each_result(std::string_view field, std::string_view value, Each each) {
  if (field == kSpansField) return {};
  const auto indexes = parse_result_field(field);
  if (!indexes) return reject("a field is no index");
  if (value.empty()) return reject("its results lie beside");
  if (indexes->first != indexes->second) return for_each_packed(value, each);
  each(indexes->first, value);
  return {};
}

}  // namespace fanfare::store
