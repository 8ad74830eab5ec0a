// What makes two events one: the caller's own (source, id), and the idempotency key.
//
// An event claims the hash of each that it has. Whoever comes later with the same one, within the
// window, is answered with the first one's event id. An id is its source's; a key is everybody's,
// and stands for one payload: type, source, subject, content type and data.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/event.h"
#include "protocol/ids.h"
#include "store/calls.h"

namespace fanfare::broker {

using store::ClaimKey;
using PayloadHash = std::array<std::uint8_t, 16>;

struct Claims {
  std::optional<ClaimKey> id;   // of (source, id)
  std::optional<ClaimKey> key;  // of the idempotency key
  PayloadHash payload{};        // what the key stands for
};

// Null for an event that has neither. `to` is the function that it names, if any.
std::unique_ptr<const Claims> claims_of(const protocol::EventView& event,
                                        std::string_view idempotency_key, std::string_view to = {});

// Who holds a claim: all that a duplicate is answered with.
struct Claimed {
  protocol::EventId event;
  std::optional<PayloadHash> payload;                     // only of a key
  std::shared_ptr<const std::vector<std::string>> route;  // functions that got it
};

// As it lies in Redis: entry ms u64, entry sequence u64, index u8, length of the payload's hash u8
// (0 or 16), hash, then the functions' names, each behind its length u8. Big-endian.
std::string pack(const Claimed& claimed);
Result<Claimed> unpack_claimed(std::string_view packed);

}  // namespace fanfare::broker
