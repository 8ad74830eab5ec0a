// Events that do not pass through a function of the library: from kBesideMin bytes on they are put
// into Redis by a plain SET, and the append that follows moves them beside their entry. Lua would
// hash each of their bytes. Whoever appends sends both, in this order, on one connection; the
// append refuses (UNSTAGED) what has not come. What no append has taken expires after kStagedMs, so
// that nothing stays of a broker that is no more; who learns of a refusal removes it at once.
#pragma once

#include <cstdint>
#include <functional>

#include "store/arguments.h"
#include "store/calls.h"

namespace fanfare::store {

inline constexpr std::int64_t kStagedMs = 60'000;

// Do this stream's events go that way? Not those of an outbox: a full Redis takes them, and no SET.
bool lies_beside(const Append& call, const Append::Stream& stream);

// The events of a stream as one argument: packed, or of one itself.
void add_events(const Append::Stream& stream, Arguments& out);

// Fills `out` with each command that goes before the call, in turn, and calls `send`.
void stage(const Call& call, Arguments& out, const std::function<void()>& send);

// What was staged for a call that has failed, as one command. False: nothing was.
bool unstage(const Call& call, Arguments& out);

}  // namespace fanfare::store
