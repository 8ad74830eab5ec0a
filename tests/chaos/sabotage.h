// Protections that lie in Redis' function library, and how to take them out of its text. The rig
// loads the changed text under the digest of the right one, so nobody loads it again.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fanfare::chaos {

// Each first text is found exactly once, or the rig refuses to run.
using Sabotage = std::vector<std::pair<std::string, std::string>>;

// A broker that was replaced may still write.
inline const Sabotage kNoFence{
    {"if call('HGET', meta, 'epoch') ~= epoch then", "if false then"},
    {"if state[1] ~= epoch then", "if false then"},
};
// What a delivery's state or result says of who ended it does not count.
inline const Sabotage kNoTokens{
    {"return sub(left, 1, 4) == token and kDuplicate or kFenced", "return kOk"},
};
// That an id or a key is taken is known to the broker alone, as long as it lives.
inline const Sabotage kNoClaims{
    {"call('SET', keys[first + i - 1], args[arg + i], 'PX', window)", "made = i"},
};
// An entry stays in its journal when its last delivery has ended or moved to `later`.
inline const Sabotage kNoFreeing{
    {"local there = call('XDEL', group.journal, group.entry) == 1", "local there = true"},
    {"if there then take_back('UNLINK', events_key_of(group.journal, group.entry)) end", ""},
};
// Who asks for what is due gets what will be due some day, too.
inline const Sabotage kNoDueTimes{
    {"if at > until_ms or i > 2 * (before + rows_max)", "if i > 2 * (before + rows_max)"},
};
// What is redriven is no dead letter any more, and nothing else either.
inline const Sabotage kNoRedrive{
    {"  call('HSET', rows, item.id, row)\n  item.filled = true", "  item.filled = true"},
    {"  call('ZADD', later, due_ms, item.id)\n  item.placed = true", "  item.placed = true"},
};
// What waits for its retry is taken for one that has never been tried.
inline const Sabotage kNoBudget{
    {"    values[#values + 1] = id\n    values[#values + 1] = args[at + 1]",
     "    values[#values + 1] = id\n    values[#values + 1] = sub(args[at + 1], 1, 4) .. "
     "'\\0\\0\\0\\0' .. sub(args[at + 1], 9)"},
};
// A full Redis takes no commits either.
inline const Sabotage kNoCommitWhenFull{
    {"register('commit', commit, {'allow-oom'})", "register('commit', commit, {})"},
    {"register('commit_packed', commit_packed, {'allow-oom'})",
     "register('commit_packed', commit_packed, {})"},
};

// Throws if a text is not there exactly once.
std::string sabotaged(std::string library, const Sabotage& sabotage);

}  // namespace fanfare::chaos
