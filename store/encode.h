// Calls as Redis commands. What the arguments mean stands in library/, call by call.
#pragma once

#include <optional>

#include "base/result.h"
#include "store/arguments.h"
#include "store/calls.h"

namespace fanfare::store {

// What no call can be sent with: too many deliveries, the same one twice, no name. Limits of size
// are those of one chunk; a single delivery may be larger.
Result<void> check(const Call& call);

// What goes before it stands in staging.h. Appends FCALL, function, keys and arguments. The views
// point into `call` and into `out`. `before` is the entry of the append that goes before this one,
// for Append; without it, the library does not check that none is missing.
void encode(const Call& call, std::optional<EntryId> before, Arguments& out);

// About the bytes that effects add to a call.
std::size_t bytes_of(const Effects& effects);

// About the bytes that a call keeps in memory and puts on the wire.
std::size_t size_of(const Call& call);

}  // namespace fanfare::store
