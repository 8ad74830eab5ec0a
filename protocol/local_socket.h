// The local lane's socket: where workers listen for callers on their own host, and how a message
// travels there.
//
// Beside the broker's ipc endpoint is the folder `local`, in it a SOCK_SEQPACKET socket for each
// worker of that broker: <name of the endpoint>.<pid>. A worker greets whoever connects with an
// empty Local; then the caller sends Invoke, any number at once, and gets for each Invoked,
// Refused, or the word that it is not here: that the broker is to be asked. Each packet is a head
// and one message as it stands on the wire to the broker, in a sealed memfd if it is larger than
// kLocalInlineMax.
//
// Both ends are of one host, not of one build: each checks the version, and all that it gets.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fanfare::protocol {

struct LocalHead {
  static constexpr std::uint32_t kVersion = 1;
  static constexpr std::uint32_t kInMemfd = 1;  // nothing follows
  static constexpr std::uint32_t kNotHere = 2;  // no message: the number of a request follows, u64

  char magic[4] = {'F', 'F', 'L', 'N'};
  std::uint32_t version = kVersion;
  std::uint32_t flags = 0;
  std::uint32_t size = 0;  // of what follows, or is in the memfd
};

inline constexpr std::size_t kLocalInlineMax = 64 * 1024;
inline constexpr std::size_t kLocalPacketMax = sizeof(LocalHead) + kLocalInlineMax;

// Of a broker's endpoint. Empty if that is not one of ipc://.
struct LocalPlace {
  std::string folder;  // "/run/fanfare/local"
  std::string prefix;  // "broker.ipc."
  bool any() const { return !folder.empty(); }
  // Whether a file of the folder is a worker's of this broker: another one's name may begin alike.
  bool has(std::string_view file) const;
};
LocalPlace local_place(std::string_view endpoint);

// kRetryLater: the socket is full, or there is no memfd to be had; kReconnect: the peer is gone.
Result<void> send_local(int socket, std::string_view frame);
Result<void> send_not_here(int socket, std::uint64_t request);

struct LocalPacket {
  std::string frame;
  std::optional<std::uint64_t> not_here;  // then there is no frame
};
// The next packet. kRetryLater: none is there; kReconnect: the peer is gone; kReject: what came is
// no packet of this version, and says what is wrong with it. `buffer`: kLocalPacketMax at least.
Result<LocalPacket> receive_local(int socket, std::span<char> buffer);

}  // namespace fanfare::protocol
