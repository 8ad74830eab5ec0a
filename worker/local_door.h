// Where callers on this host reach the worker without passing the broker: the local lane's socket
// (protocol/local_socket.h), and the connections to it.
//
// Whoever may connect to the broker's ipc endpoint may connect here, and nobody else: the socket
// gets that one's group and mode, and the kernel's word on the peer is checked once more. A caller
// sends what it would send to the broker. What this worker would have to refuse is not here, so
// that there is one place that says why.
//
// Bounds: kConnectionsMax, and of each kCallsMax calls that wait and kBytesMax of their messages;
// a call beyond them is not here, a connection beyond them is closed before it is greeted, and one
// that leaves kBytesMax of answers unread is closed as well. Bad input gets a Refused and ends its
// connection, nothing else. Belongs to the loop's thread.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"
#include "base/result.h"
#include "protocol/local_socket.h"
#include "protocol/messages.h"
#include "worker/effects.h"

namespace fanfare::worker {

class LocalDoor {
 public:
  static constexpr std::size_t kConnectionsMax = 256;
  static constexpr std::size_t kCallsMax = 1000;
  static constexpr std::size_t kBytesMax = 32u << 20;

  struct Handlers {
    std::function<void(CallerId, protocol::Invoke)> on_invoke;
    std::function<void(CallerId)> on_gone;
  };
  struct Counters {
    std::uint64_t connected = 0;
    std::uint64_t refused = 0;    // too many, or peers that may not, or that do not read
    std::uint64_t malformed = 0;  // packets; their connections were closed
    std::uint64_t full = 0;       // calls beyond a connection's bounds
  };

  // Opens the socket beside the broker's, which must be there. kReject: this endpoint has no such
  // place; else why it cannot be had.
  static Result<std::unique_ptr<LocalDoor>> open(Loop& loop, const std::string& broker_endpoint,
                                                 Handlers handlers);
  // The socket is gone; whoever has sent something that was not read is told that it is not here.
  ~LocalDoor();
  LocalDoor(const LocalDoor&) = delete;
  LocalDoor& operator=(const LocalDoor&) = delete;

  // Answers one of the caller's calls; without a frame: it is not here. Nothing happens if either
  // is gone.
  void answer(CallerId caller, std::uint64_t request, std::string frame);

  // The broker's socket may have been made anew: its rights are this one's from now on, and whoever
  // has none any more is let go.
  void renew_rights();
  // Nobody new comes in; the socket is gone.
  void stop_listening();

  const std::string& path() const { return path_; }  // empty once nobody comes in any more
  const Counters& counters() const { return counters_; }
  std::size_t connections() const { return connections_.size(); }

 private:
  struct Connection {
    Fd socket;
    std::unique_ptr<FdWatch> watch;
    std::map<std::uint64_t, std::size_t> calls;  // by request: bytes
    std::size_t bytes = 0;
    std::deque<std::pair<std::uint64_t, std::string>> unsent;  // its socket is full
    std::size_t unsent_bytes = 0;
  };

  LocalDoor(Loop& loop, std::string broker_path, Handlers handlers);
  Result<void> listen(const protocol::LocalPlace& place);
  Result<void> take_rights();
  void turn_away(Connection& connection);
  void accept_some();
  void read_some(CallerId id);
  void take(CallerId id, Connection& connection, std::string_view frame);
  static Result<void> send_now(const Connection& connection, std::uint64_t request,
                               std::string_view frame);
  void send(CallerId id, Connection& connection, std::uint64_t request, std::string frame);
  void write_some(CallerId id);
  void close(CallerId id);
  void close_doomed();

  Loop& loop_;
  std::string broker_path_;
  Handlers handlers_;
  std::string path_;
  struct stat made_{};  // what `path_` was when it was made
  Fd listening_;
  std::unique_ptr<FdWatch> watch_;
  std::map<CallerId, std::unique_ptr<Connection>> connections_;
  std::uint64_t next_ = 1;
  std::string buffer_;
  std::vector<CallerId> doomed_;
  Loop::Hook hook_;
  Counters counters_;
};

}  // namespace fanfare::worker
