#include "store/keys.h"

namespace fanfare::store {
namespace {

std::string key_of(std::string_view function, std::string_view kind, std::string_view rest = {}) {
  std::string key;
  key.reserve(16 + function.size() + kind.size() + rest.size());
  key.append("fanfare:{").append(function).append("}:").append(kind).append(rest);
  return key;
}

}  // namespace

std::string journal_key(std::string_view function, protocol::Lane lane) {
  return key_of(function, "journal:", to_string(lane));
}
std::string events_key(std::string_view function, protocol::Lane lane,
                       const protocol::EntryId& entry) {
  return journal_key(function, lane).append(":").append(to_string(entry));
}
std::string staged_key(std::string_view function, protocol::Lane lane,
                       const protocol::EntryId& entry, std::uint32_t epoch) {
  return events_key(function, lane, entry).append(":").append(std::to_string(epoch));
}
std::string open_key(std::string_view function, protocol::Lane lane) {
  return key_of(function, "open:", to_string(lane));
}
std::string results_key(std::string_view function, const protocol::EntryId& entry) {
  return key_of(function, "results:", to_string(entry));
}
std::string span_key(std::string_view function, const protocol::EntryId& entry, std::uint8_t first,
                     std::uint8_t last) {
  return results_key(function, entry)
      .append(":")
      .append(std::to_string(first))
      .append("-")
      .append(std::to_string(last));
}
std::string staged_span_key(std::string_view function, const protocol::EntryId& entry,
                            std::uint8_t first, std::uint8_t last, protocol::AttemptToken token) {
  return span_key(function, entry, first, last).append(":").append(std::to_string(token.value));
}
std::string later_key(std::string_view function) {
  return key_of(function, "later");
}
std::string rows_key(std::string_view function) {
  return key_of(function, "later:rows");
}
std::string held_key(std::string_view function) {
  return key_of(function, "later:held");
}
std::string dead_key(std::string_view function) {
  return key_of(function, "dead");
}
std::string outbox_key(std::string_view function) {
  return key_of(function, "outbox");
}
std::string counts_key(std::string_view function) {
  return key_of(function, "counts");
}
std::string store_key(std::string_view function) {
  return key_of(function, "store");
}
std::string store_names_key(std::string_view function) {
  return key_of(function, "store:keys");
}
std::string store_expiries_key(std::string_view function) {
  return key_of(function, "store:expiries");
}
std::string guard_key(std::string_view client) {
  return std::string{"fanfare:publishers:"}.append(client);
}
std::string claim_key(const ClaimKey& key) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text{"fanfare:ids:"};
  for (const std::uint8_t byte : key) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}
std::string usage_key(std::int64_t hour) {
  return std::string{"fanfare:usage:"}.append(hour_name(hour));
}
std::string usage_seen_key(std::string_view worker) {
  return std::string{"fanfare:usage:seen:"}.append(worker);
}

}  // namespace fanfare::store
