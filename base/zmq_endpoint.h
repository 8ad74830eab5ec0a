// Telling what is wrong with an endpoint before and after ZeroMQ has tried it.
#pragma once

#include <string>

#include "base/result.h"

namespace fanfare {

// Checks an endpoint that is to be bound: its form, and for ipc:// the path's length, its
// directory, and that nobody listens there. ZeroMQ would take an ipc path from a process that is
// still listening, and remove a file that is no socket.
Result<void> check_bind(const std::string& endpoint);
Result<void> check_connect(const std::string& endpoint);

// Nobody but this machine's processes reaches it: ipc, 127.0.0.0/8, [::1] or localhost.
bool is_local(const std::string& endpoint);

// One line for an error that ZeroMQ reported for it, with what to do.
Error explain_zmq_error(const std::string& verb, const std::string& endpoint, int error);

}  // namespace fanfare
