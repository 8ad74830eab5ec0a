// Connected or not: what libzmq tells about a DEALER's connection. Private to ZmqSocket.
#pragma once

#include <functional>
#include <memory>

#include "base/loop.h"

namespace fanfare {

class ZmqMonitor {
 public:
  // Watches `socket` of `context` from before it connects. `on_change` gets true when a
  // connection's handshake has succeeded and false when that connection is gone.
  ZmqMonitor(Loop& loop, void* context, void* socket,
             std::function<void(bool connected)> on_change);
  ~ZmqMonitor();  // before the socket is closed
  ZmqMonitor(const ZmqMonitor&) = delete;
  ZmqMonitor& operator=(const ZmqMonitor&) = delete;

 private:
  void read_events();

  void* watched_;
  void* pair_;
  std::function<void(bool)> on_change_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace fanfare
