// Messages between processes of one host, over SOCK_SEQPACKET sockets: bytes, and descriptors with
// them. What is too large for a message travels as a memfd that nobody can change any more.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace fanfare {

struct SendOptions {
  bool dont_wait = false;
};
// One message with up to four descriptors. kRetryLater: full (dont_wait); kReconnect: peer is gone.
Result<void> send_message(int socket, std::string_view bytes, std::span<const int> fds,
                          SendOptions options);

// One message into `buffer`. kRetryLater: none there (dont_wait); kReconnect: the peer is gone;
// kReject: larger than the buffer.
struct Received {
  std::size_t size = 0;
  std::vector<Fd> fds;
};
Result<Received> receive_message(int socket, std::span<char> buffer, SendOptions options);

// A memfd with these bytes that nobody can change any more.
Result<Fd> make_sealed_memfd(const char* name, std::span<const std::string_view> parts);

// Copies a memfd made by the other side. Rejects one that is not sealed or is not `size` long.
Result<std::string> read_sealed_memfd(int memfd, std::uint64_t size);

}  // namespace fanfare
