// The warmed parent of a function's instances: loads the function, runs its init, forks on request.
//
// A process of its own with one thread for life. It holds the function and the control socket and
// nothing else. Instances become children of the worker (CLONE_PARENT), so the worker sees how each
// of them ends, and none depends on its zygote.
//
// It becomes the unprivileged user of its instances before it loads anything, so that constructors
// and init run with no more rights than the handler does (decision 36).
#pragma once

namespace fanfare::worker {

// Serves the worker at the other end of `control` until that closes; then returns the exit status.
int run_zygote(int control);

}  // namespace fanfare::worker
