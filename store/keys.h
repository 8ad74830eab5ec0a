// The names of everything Fanfare keeps in Redis, in one place.
//
// `{function}` is a hash tag: all keys of one function share a slot of a Redis Cluster.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/ids.h"
#include "store/calls.h"

namespace fanfare::store {

inline constexpr std::string_view kMetaKey = "fanfare:meta";            // hash: layout, epoch, …
inline constexpr std::string_view kFunctionsKey = "fanfare:functions";  // hash: name → row
inline constexpr std::string_view kPackagesKey = "fanfare:packages";    // hash: SHA-256 hex → bytes
inline constexpr std::string_view kGenerationsKey =
    "fanfare:generations";  // hash: name → its latest generations
inline constexpr std::string_view kWorkersKey = "fanfare:workers";  // hash: name → packed
inline constexpr std::string_view kShippedKey =
    "fanfare:shipped";  // hash: name → digest, of what `fanfare up` deployed by itself

inline constexpr std::string_view kSchedulesKey = "fanfare:schedules";  // hash: name → definition
inline constexpr std::string_view kSchedulesLedgerKey = "fanfare:schedules:ledger";  // hash: → row
inline constexpr std::string_view kSchedulesRevisionKey = "fanfare:schedules:revision";  // number

inline constexpr std::string_view kTopicsKey = "fanfare:topics";  // hash: name → definition

// All lanes there can be: ten priorities, each without and with sixteen hashes.
inline constexpr std::uint16_t kLanes = 170;

std::string journal_key(std::string_view function, protocol::Lane lane);
// string: the events of an entry that lie beside it; before its append, staged by that broker.
std::string events_key(std::string_view function, protocol::Lane lane,
                       const protocol::EntryId& entry);
std::string staged_key(std::string_view function, protocol::Lane lane,
                       const protocol::EntryId& entry, std::uint32_t epoch);
std::string open_key(std::string_view function, protocol::Lane lane);
std::string results_key(std::string_view function, const protocol::EntryId& entry);
// string: the results of neighbours that lie beside them; before their commit, staged by the
// attempt of the first.
std::string span_key(std::string_view function, const protocol::EntryId& entry, std::uint8_t first,
                     std::uint8_t last);
std::string staged_span_key(std::string_view function, const protocol::EntryId& entry,
                            std::uint8_t first, std::uint8_t last, protocol::AttemptToken token);
std::string later_key(std::string_view function);  // sorted set: event id by due ms
std::string rows_key(std::string_view function);   // hash: event id → row
std::string held_key(std::string_view function);   // hash: event id → ordering key it keeps
std::string dead_key(std::string_view function);
std::string outbox_key(std::string_view function);  // stream: to, event
std::string counts_key(std::string_view function);
std::string store_key(std::string_view function);           // hash: key → row
std::string store_names_key(std::string_view function);     // sorted set: keys in order
std::string store_expiries_key(std::string_view function);  // sorted set: key by expiry, Unix ms
std::string guard_key(std::string_view client);             // hash: sequence, entry → runs
std::string claim_key(const ClaimKey& key);                 // string: what claimed it
std::string usage_key(std::int64_t hour);                   // hash: function tenant → row
std::string usage_seen_key(std::string_view worker);        // string: its last sequence

}  // namespace fanfare::store
