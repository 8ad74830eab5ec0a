// What the rig tells a broker or worker of its own to do worse than the installed ones: protections
// to switch off, and places to die at. Travels in the environment; only the programs of this folder
// read it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/failpoint.h"
#include "base/result.h"

namespace fanfare::chaos {

// CHAOS_WITHOUT: names of members of Protections, separated by commas.
inline constexpr const char* kWithoutVariable = "CHAOS_WITHOUT";
// Milliseconds between two rounds of a worker's housekeeping.
inline constexpr const char* kHousekeepingVariable = "CHAOS_HOUSEKEEPING_MS";
// CHAOS_DIE_AT: "place:passing:stall_ms". At that passing of the place the process stalls for so
// long, as one that is not scheduled does, and ends with code kDiedAtPlace.
inline constexpr const char* kDieAtVariable = "CHAOS_DIE_AT";
// CHAOS_FIRST_AT: "place:file". The first passing of the place is written to the file, in
// nanoseconds of CLOCK_MONOTONIC.
inline constexpr const char* kFirstAtVariable = "CHAOS_FIRST_AT";
// CHAOS_TOKENS: a file to which a TokenRecord (execution_log.h) is appended for each delivery that
// a worker hands to an instance.
inline constexpr const char* kTokensVariable = "CHAOS_TOKENS";
// CHAOS_LEAK: "place:descriptors:bytes". At each passing of the place so much is taken, and kept.
inline constexpr const char* kLeakVariable = "CHAOS_LEAK";
inline constexpr int kDiedAtPlace = 9;

// The protections of one program by name.
using ProtectionNames = std::span<const std::pair<std::string_view, bool*>>;

// Switches off what `list` names. kReject if it names something else.
Result<void> switch_off(std::string_view list, const ProtectionNames& protections);

// The hook that the environment asks for; nothing if it asks for none. kReject if it makes no
// sense.
Result<Failpoint> failpoint_from_environment();

}  // namespace fanfare::chaos
