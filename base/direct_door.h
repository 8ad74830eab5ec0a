// Where processes of this host reach whoever is bound to an ipc:// endpoint without ZeroMQ: by a
// stream socket beside it, named <path>.direct. The frames are the same.
//
// ZeroMQ writes and reads in threads of its own, so a message wakes three threads on its way from
// one process to another; here it wakes one. ZeroMQ's own socket stays for everybody else: other
// languages' clients, other builds (endpoint_link.h chooses).
//
// Whom the endpoint's socket lets in, by folder, owner and mode, this one lets in, and nobody else.
// A stranger, or who has not greeted in time, is let go. Belongs to its loop's thread; must not be
// destroyed from within its own handlers.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/fd.h"
#include "base/frame_stream.h"
#include "base/loop.h"
#include "base/peer_id.h"
#include "base/result.h"

namespace fanfare {

// Empty if the endpoint has none: it is not of ipc://, or has no place in the file system.
std::string direct_path(std::string_view endpoint);

class DirectDoor {
 public:
  // How long destroying waits, in all, for what was sent and is not yet written.
  static constexpr Duration kLinger = std::chrono::milliseconds{200};
  static constexpr Duration kPause = std::chrono::milliseconds{100};  // without descriptors

  struct Options {
    std::size_t frame_bytes_max = 16u << 20;
    char peer_tag = 'd';  // stands first in each PeerId
    Duration greeting_patience = std::chrono::seconds{5};
  };
  struct Handlers {
    std::function<void(const PeerId& peer, std::string_view frame)> on_message;
    std::function<void(const PeerId& peer)> on_stranger;  // was let go
  };

  // Listens beside the endpoint, to be called before that is bound: who finds this door closed goes
  // there. What a process that was killed has left is taken over. kFatal with what to do;
  // kReject: there can be none, as the name would be too long.
  static Result<std::unique_ptr<DirectDoor>> open(Loop& loop, const std::string& endpoint,
                                                  Options options, Handlers handlers);
  ~DirectDoor();
  DirectDoor(const DirectDoor&) = delete;
  DirectDoor& operator=(const DirectDoor&) = delete;

  // As ZmqSocket::send.
  Result<void> send(const PeerId& peer, std::string_view frame);
  std::size_t connections() const { return connections_.size(); }
  // Whether the door still has its name: of two brokers that begin at once either may have taken
  // the other's for a killed one's.
  bool has_its_name() const;

 private:
  struct Connection {
    std::unique_ptr<FrameStream> stream;
    TimePoint since;
  };

  DirectDoor(Loop& loop, const std::string& endpoint, Fd listening, Options options,
             Handlers handlers);
  void accept_some();
  void welcome(Fd socket);
  void tell_stranger(const PeerId& peer);
  void look_for_silent();

  Loop& loop_;
  const std::string endpoint_path_, path_;
  const Fd listening_;
  const Options options_;
  const Handlers handlers_;
  struct stat made_{};
  FrameBuffers buffers_;
  std::unordered_map<std::uint64_t, Connection> connections_;
  std::uint64_t next_ = 1;
  std::unique_ptr<FdWatch> watch_;
  Timer again_, patience_;
};

}  // namespace fanfare
