// What a daemon does when it cannot have what it needs to go on: memory, or a descriptor, a watch
// or another thing of the kernel's that nothing else stands in for. It says so and ends, to be
// started again.
//
// Nothing that was acknowledged depends on a process that lives, so ending is the plainest way back
// to a state that is known; going on half-way through whatever was refused is not.
#pragma once

namespace fanfare {

inline constexpr int kExhaustedStatus = 71;  // EX_OSERR

// From now on an allocation that fails (operator new, in any thread) and a std::system_error or
// boost::system::system_error that nobody catches write one line to standard error and end the
// process with kExhaustedStatus. Other exceptions that nobody catches are bugs: they abort, as they
// did. Call first in main. `program` must live as long as the process.
void end_when_exhausted(const char* program);

}  // namespace fanfare
