#include "protocol/ids.h"

#include <algorithm>
#include <charconv>

namespace fanfare::protocol {
namespace {

constexpr std::uint16_t kLanesPerPriority = 17;

// A decimal number with no sign and no leading zeros, so that one id has one text. Takes it off the
// front of `text`.
bool take_number(std::string_view& text, std::uint64_t& value) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  const auto length = static_cast<std::size_t>(end - text.data());
  if (text[0] == '0' && length > 1) return false;
  text.remove_prefix(length);
  return true;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text[0] != expected) return false;
  text.remove_prefix(1);
  return true;
}

bool take_entry(std::string_view& text, EntryId& id) {
  return take_number(text, id.ms) && take(text, '-') && take_number(text, id.seq);
}

void append_number(std::string& text, std::uint64_t value) {
  char digits[20];
  text.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

// At most 60 characters of what was given, for error messages.
std::string quoted(std::string_view text) {
  return '"' + std::string{text.substr(0, 60)} + (text.size() > 60 ? "…\"" : "\"");
}

std::uint64_t fnv1a(std::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325ull;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3ull;
  return hash;
}

}  // namespace

std::string to_string(const EntryId& id) {
  std::string text;
  text.reserve(24);
  append_number(text, id.ms);
  text += '-';
  append_number(text, id.seq);
  return text;
}

std::string to_string(const EventId& id) {
  std::string text = to_string(id.entry);
  text += '.';
  append_number(text, id.index);
  return text;
}

Result<EntryId> parse_entry_id(std::string_view text) {
  std::string_view rest = text;
  EntryId id;
  if (take_entry(rest, id) && rest.empty()) return id;
  return reject("not an entry id (<ms>-<seq>): " + quoted(text));
}

Result<EventId> parse_event_id(std::string_view text) {
  std::string_view rest = text;
  EventId id;
  std::uint64_t index = 0;
  if (take_entry(rest, id.entry) && take(rest, '.') && take_number(rest, index) && rest.empty() &&
      index < kChunkEventsMax) {
    id.index = static_cast<std::uint8_t>(index);
    return id;
  }
  return reject("not an event id (<ms>-<seq>.<index>): " + quoted(text));
}

Lane lane_of(std::uint8_t priority, std::string_view tenant_or_ordering_key) {
  auto number = static_cast<std::uint16_t>(priority * kLanesPerPriority);
  if (!tenant_or_ordering_key.empty()) {
    // The low bits of FNV-1a alone mix poorly for short keys; fold the high half in.
    const std::uint64_t hash = fnv1a(tenant_or_ordering_key);
    number = static_cast<std::uint16_t>(number + 1 + ((hash ^ hash >> 32) & 15));
  }
  return {number};
}

std::string to_string(Lane lane) {
  std::string text = std::to_string(lane.number / kLanesPerPriority);
  if (const int key = lane.number % kLanesPerPriority; key > 0)
    text += '.' + std::to_string(key - 1);
  return text;
}

Result<Lane> parse_lane(std::string_view text) {
  std::string_view rest = text;
  std::uint64_t priority = 0, key = 0;
  bool good = take_number(rest, priority) && priority <= 9;
  const bool keyed = good && !rest.empty();
  if (keyed) good = take(rest, '.') && take_number(rest, key) && key <= 15 && rest.empty();
  if (!good) return reject("not a lane (<priority>[.<0-15>]): " + quoted(text));
  return Lane{static_cast<std::uint16_t>(priority * kLanesPerPriority + (keyed ? 1 + key : 0))};
}

AttemptToken make_token(std::uint32_t epoch, std::uint32_t dispatch_number) {
  // Epochs count from 1 and go round from 2^20 - 1 to 1, so no token is ever 0.
  constexpr std::uint32_t kEpochs = (1u << 20) - 1;
  const std::uint32_t epoch_part = epoch == 0 ? kEpochs : 1 + (epoch - 1) % kEpochs;
  return {epoch_part << 12 | (dispatch_number & 0xFFF)};
}

bool is_function_name(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  for (const char c : name) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
    if (!good) return false;
  }
  return true;
}

bool is_worker_name(std::string_view name) {
  constexpr std::size_t kBytesMax = 255;
  return !name.empty() && name.size() <= kBytesMax &&
         std::ranges::none_of(name, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

}  // namespace fanfare::protocol
