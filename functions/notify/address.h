// Which addresses a webhook may not reach unless its manifest allows it: those of this machine, of
// the networks around it, and of clouds' metadata services. Judged when a connection is about to be
// made, after the name was looked up, so that it does not matter what a name stands for, or when.
//
// https://www.rfc-editor.org/rfc/rfc6890 and IANA's registries of special-purpose addresses.
#pragma once

#include <sys/socket.h>

#include <string>

namespace notify {

// Empty if it is a public address; else what it is: "127.0.0.1 (loopback, 127.0.0.0/8)". An IPv4
// address within an IPv6 one (mapped, NAT64, 6to4) is judged as what it stands for. What is neither
// IPv4 nor IPv6 is refused, and so is whatever of IPv6 nobody has been given yet.
std::string why_private(const sockaddr& address);

}  // namespace notify
