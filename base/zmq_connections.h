// Which connections a ROUTER that strangers can reach has, and how those ended that never came in.
//
// Pure: it is told what libzmq's monitor tells, in order, and what the socket has received. libzmq
// names the connection only when it is accepted and when it is gone; a handshake that failed for
// the peer's own fault is told right before its connection's end, and one that succeeded without a
// name. So the reasons below are exact but for connections of one host that end within the same
// moment: those may be counted under each other's reason, never twice and never not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"

namespace fanfare {

// Why a connection was closed before its first message.
enum class ConnectionRefusal : std::uint8_t {
  kUnknownKey,  // proved its key, and that is not allowed
  kWrongKey,    // took us for somebody else: it has another public key of ours
  kNoKey,       // wanted another mechanism than CURVE
  kMalformed,   // did not speak ZMTP, or spoke it wrongly
  kTimeout,     // did not finish its handshake in time
  kLeft,        // closed the connection itself
  kFull,        // one too many
  kSilent,      // came in, and said nothing
};
inline constexpr std::size_t kConnectionRefusals = 8;
std::string_view to_string(ConnectionRefusal refusal);  // "unknown_key", …

struct ConnectionLimits {
  std::size_t open_max = 1024;
  // That have not proved a key yet: of one host, and in all. Floods, from one place or many, leave
  // those with keys their room.
  std::size_t unproven_per_host_max = 64;
  std::size_t unproven_max = 256;
  std::size_t per_user_max = 256;  // that have said something
  // Whoever says nothing for so long after it was accepted is closed: it has no user who could be
  // bounded, or cut off. An honest one connects anew when it has something to say. 0 = never.
  Duration silent_max = std::chrono::seconds{60};
};

// Who shares a bound: "10.0.0.2" of "10.0.0.2" and "10.0.0.2:5123"; of IPv6 the network, as a host
// has as many addresses as it likes: "fe80::/64" of "fe80::1" and "[fe80::1]:5123".
std::string host_of(std::string_view address);

class ConnectionTable {
 public:
  explicit ConnectionTable(ConnectionLimits limits) : limits_(limits) {}

  // False: over the limits, it is to be closed. Its end is still to be told.
  bool on_accepted(int fd, std::string address, TimePoint now);
  // The allow-list has refused the key of somebody at `address`.
  void on_key_refused(std::string_view address);
  void on_handshake_failed(ConnectionRefusal why) { failed_ = why; }
  void on_handshake_succeeded();
  // A message of `user`, of a peer with this routing id, came by it. False: it is not to be taken,
  // and the connection is to be closed. It is one too many of his; or two users' messages seem to
  // come by one connection (libzmq names a message's descriptor when it comes in, and that may be
  // another one's when it is read), or the routing id is that of a connection of somebody else.
  bool on_message(int fd, std::string_view user, std::string_view routing_id);
  // Whether what is sent to this routing id now goes to `user`: the connection by which its last
  // message came is open, and his. A peer may choose its own id, so one that is not in use any more
  // may become anybody's.
  bool owns(std::string_view user, std::string_view routing_id) const;

  struct Refused {
    ConnectionRefusal why;
    std::string address;
  };
  // It is gone; nothing if it had come in.
  std::optional<Refused> on_closed(int fd);

  struct Connection {
    std::string address;
    std::string user;  // empty until its first message
    std::string routing_id;
    bool proven = false;
    std::optional<ConnectionRefusal> closed_as;  // it is on its way out
    TimePoint accepted_at;
  };
  const Connection* find(int fd) const;
  std::vector<int> of_user(std::string_view user) const;
  // Those that are to be closed, as they have said nothing for too long.
  std::vector<int> take_silent(TimePoint now);
  std::size_t open() const { return connections_.size(); }

 private:
  struct Host {
    std::size_t open = 0, unproven = 0;
    std::size_t keys_refused = 0;  // of connections whose end is still to be told
  };
  void prove(Connection& connection);

  ConnectionLimits limits_;
  std::unordered_map<int, Connection> connections_;
  std::unordered_map<std::string, int> by_routing_id_;  // of those that have sent something
  std::map<std::string, Host> hosts_;                   // with connections
  std::size_t unproven_count_ = 0;
  std::size_t succeeded_ = 0;  // handshakes, of connections that are still among the unproven
  std::optional<ConnectionRefusal> failed_;  // of the connection whose end comes next
};

}  // namespace fanfare
