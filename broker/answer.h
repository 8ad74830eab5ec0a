// The answer to a publisher's batch, built up as the chunks it was spread over are journaled.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "protocol/messages.h"

namespace fanfare::broker {

// Adds one event's fate to an answer; neighbours that fared alike share a run.
void add_accepted(protocol::Published& answer, const protocol::EventId& id,
                  const std::vector<std::string>& route);
void add_duplicate(protocol::Published& answer, const protocol::EventId& first,
                   const std::vector<std::string>& route);
void add_refused(protocol::Published& answer, protocol::Refusal code, const std::string& message);

// Appends what `more` says of later events of the same batch.
void merge(protocol::Published& answer, const protocol::Published& more);

// How many events an answer speaks of.
std::size_t events_answered(const protocol::Published& answer);

// The bytes the repeat guard keeps: parts in the order they were journaled, each with the number of
// events of its batch before it. What lies between two parts was refused: Redis had no room for it
// just then.
std::string pack_guard_part(protocol::Published part, std::size_t events_before);
Result<protocol::Published> unpack_guard_parts(std::uint64_t sequence, std::string_view packed);

}  // namespace fanfare::broker
