#include "broker/claims.h"

#include <algorithm>

#include "base/sha256.h"
#include "store/bytes.h"

namespace fanfare::broker {
namespace {

using store::append_big_endian;
using store::read_big_endian;

constexpr std::size_t kHeadBytes = 18;

// Half of a SHA-256: nobody finds two texts with the same one.
std::array<std::uint8_t, 16> hash_of(std::string_view bytes) {
  const auto digest = sha256(bytes);
  std::array<std::uint8_t, 16> half{};
  std::copy_n(digest.begin(), half.size(), half.begin());
  return half;
}

// Behind its length, so that no two lists of fields give the same bytes.
void add_field(std::string& out, std::string_view field) {
  append_big_endian(out, static_cast<std::uint32_t>(field.size()));
  out.append(field);
}

PayloadHash payload_of(const protocol::EventView& event, std::string_view to) {
  std::string fields;
  for (const auto field : {event.type, event.source, event.subject, event.content_type}) {
    add_field(fields, field);
  }
  if (!to.empty()) add_field(fields, to);
  const auto data = sha256(event.data);  // may be large: hashed where it lies
  fields.append(data.begin(), data.end());
  return hash_of(fields);
}

}  // namespace

std::unique_ptr<const Claims> claims_of(const protocol::EventView& event,
                                        std::string_view idempotency_key, std::string_view to) {
  if (event.id.empty() && idempotency_key.empty()) return nullptr;
  auto claims = std::make_unique<Claims>();
  if (!event.id.empty()) {
    std::string text = "id";
    add_field(text, event.source);
    add_field(text, event.id);
    claims->id = hash_of(text);
  }
  if (!idempotency_key.empty()) {
    std::string text = "key";
    add_field(text, idempotency_key);
    claims->key = hash_of(text);
    claims->payload = payload_of(event, to);
  }
  return claims;
}

std::string pack(const Claimed& claimed) {
  std::string packed;
  append_big_endian(packed, claimed.event.entry.ms);
  append_big_endian(packed, claimed.event.entry.seq);
  packed.push_back(static_cast<char>(claimed.event.index));
  packed.push_back(static_cast<char>(claimed.payload ? claimed.payload->size() : 0));
  if (claimed.payload) packed.append(claimed.payload->begin(), claimed.payload->end());
  for (const std::string& function : *claimed.route) {
    packed.push_back(static_cast<char>(function.size()));  // at most 64
    packed.append(function);
  }
  return packed;
}

Result<Claimed> unpack_claimed(std::string_view packed) {
  if (packed.size() < kHeadBytes) return reject("a claim is too short");
  Claimed claimed;
  claimed.event.entry.ms = read_big_endian<std::uint64_t>(packed);
  claimed.event.entry.seq = read_big_endian<std::uint64_t>(packed.substr(8));
  claimed.event.index = static_cast<std::uint8_t>(packed[16]);
  const std::size_t hash_bytes = static_cast<std::uint8_t>(packed[17]);
  packed.remove_prefix(kHeadBytes);
  if (hash_bytes != 0) {
    PayloadHash& hash = claimed.payload.emplace();
    if (hash_bytes != hash.size() || packed.size() < hash.size()) {
      return reject("a claim has a payload's hash of another length");
    }
    std::copy_n(packed.begin(), hash.size(), hash.begin());
    packed.remove_prefix(hash.size());
  }
  std::vector<std::string> route;
  while (!packed.empty()) {
    const std::size_t size = static_cast<std::uint8_t>(packed.front());
    packed.remove_prefix(1);
    if (packed.size() < size) return reject("a claim ends in the middle of a name");
    route.emplace_back(packed.substr(0, size));
    packed.remove_prefix(size);
  }
  claimed.route = std::make_shared<const std::vector<std::string>>(std::move(route));
  return claimed;
}

}  // namespace fanfare::broker
