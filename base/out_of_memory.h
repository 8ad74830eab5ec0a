// What a daemon does when there is no memory: it says so and ends, to be started again.
//
// Nothing that was acknowledged depends on a process that lives, so ending is the plainest way back
// to a state that is known; going on half-way through whatever wanted the memory is not.
#pragma once

namespace fanfare {

inline constexpr int kOutOfMemoryStatus = 71;  // EX_OSERR

// From now on an allocation that fails (operator new, in any thread) writes one line to standard
// error and ends the process with kOutOfMemoryStatus. Call first in main. `program` must live as
// long as the process.
void end_when_out_of_memory(const char* program);

}  // namespace fanfare
