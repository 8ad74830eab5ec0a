// Values that do not pass through a function of the library: events of a stream, and results of
// neighbours, from kBesideMin bytes on. They are put into Redis by a plain SET, and the append or
// commit that follows moves them to where they stay. Lua would hash each of their bytes. Whoever
// sends the call sends both, in this order, on one connection; the call refuses (UNSTAGED) what has
// not come. What no call has moved expires after kStagedMs, so that nothing stays of a process that
// is no more, or of an attempt that came too late; who learns of a refusal removes it at once.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "store/arguments.h"
#include "store/calls.h"
#include "store/grouping.h"

namespace fanfare::store {

inline constexpr std::int64_t kStagedMs = 60'000;

// Do this stream's events go that way? Not those of an outbox: a full Redis takes them, and no SET.
bool lies_beside(const Append& call, const Append::Stream& stream);
// The events of a stream as one argument: packed, or of one itself.
void add_events(const Append::Stream& stream, Arguments& out);

// Whether the results of each group are one argument: where they are stored, and nothing comes with
// them.
bool is_packed(const Commit& call);
// Of such a call, do the results of this group go that way? A full Redis takes a commit, and no
// SET: who sends it looks at what the SET is answered.
bool lies_beside(const Commit& call, std::span<const GroupedItem> group);
// The results of a group as one argument: packed, or of one itself.
void add_results(const Commit& call, std::span<const GroupedItem> group, Arguments& out);

// Fills `out` with each command that goes before the call, in turn, and calls `send`.
void stage(const Call& call, Arguments& out, const std::function<void()>& send);

// What was staged for a call that has failed, as one command. False: nothing was.
bool unstage(const Call& call, Arguments& out);

}  // namespace fanfare::store
