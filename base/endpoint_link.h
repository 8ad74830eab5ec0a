// The connection of a client or worker to the broker's endpoint: one frame a message, each way.
//
// On an ipc:// endpoint that has a direct door (direct_door.h) it goes there, past ZeroMQ; where
// only ZeroMQ listens, or the door speaks otherwise, and over networks, it is a ZeroMQ DEALER. That
// is decided anew for each connection; while nobody is there, the endpoint is tried again and
// again. To whoever uses it, the two are one: on_connected, messages, on_disconnected, and so on.
//
// Belongs to its loop's thread; must not be destroyed from within its own handlers; the context
// must outlive it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/zmq_socket.h"

namespace fanfare {

class EndpointLink {
 public:
  struct Handlers {
    std::function<void(std::string_view frame)> on_message;  // valid during the call
    // The connection is up (each time anew), or gone. Messages sent before may be lost.
    std::function<void()> on_connected, on_disconnected;
    // A little after a send was refused since the peer reads too slowly: time to try again.
    std::function<void()> on_writable;
    std::function<void()> on_malformed;              // something that is not one frame arrived
    std::function<void(ConnectRefusal)> on_refused;  // tried again
  };

  // `options` as for a DEALER.
  EndpointLink(Loop& loop, ZmqContext& context, ZmqOptions options, Handlers handlers);
  ~EndpointLink();
  EndpointLink(const EndpointLink&) = delete;
  EndpointLink& operator=(const EndpointLink&) = delete;

  // Once. kFatal if the address makes no sense.
  Result<void> connect(const std::string& endpoint);

  // Takes `frame` if it succeeds and leaves it as it was if not. kRetryLater: not connected, or the
  // peer does not read fast enough. kReject: over message_bytes_max.
  Result<void> send(std::string&& frame);

  bool connected() const;
  bool direct() const;  // connected past ZeroMQ

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare
