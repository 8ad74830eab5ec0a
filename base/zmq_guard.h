// Keeps the connections of a ROUTER that strangers can reach within bounds. Private to ZmqSocket.
//
// libzmq has no bound for them, and no way to close one; so this listens to its monitor, and shuts
// a descriptor down where there is one too many or its owner is not allowed any more. The
// descriptor is libzmq's: it is touched only while it still is the connection that was meant, which
// its peer's address and port tell.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/zmq_connections.h"
#include "base/zmq_monitor.h"

namespace fanfare {

class ZmqGuard {
 public:
  using OnRefused = std::function<void(const ConnectionTable::Refused&)>;
  // From before `socket` is bound until before it is closed.
  ZmqGuard(Loop& loop, void* context, void* socket, ConnectionLimits limits, OnRefused on_refused);

  // False: the message is not to be taken; the connection is being closed.
  bool on_message(int fd, std::string_view user, std::string_view routing_id);
  // As of now, if libzmq has been made to look at its connections just before.
  bool owns(std::string_view user, std::string_view routing_id);
  void on_key_refused(std::string_view address);
  std::size_t cut_off(std::string_view user);
  std::size_t open() const { return table_.open(); }

 private:
  void on_event(const ZmqMonitor::Event& event);
  void close(int fd);
  void close_silent();

  Loop& loop_;
  ConnectionTable table_;
  OnRefused on_refused_;
  ZmqMonitor monitor_;
  Timer sweep_;
};

}  // namespace fanfare
