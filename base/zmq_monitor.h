// What libzmq tells about a socket's connections. Private to ZmqSocket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/loop.h"

namespace fanfare {

class ZmqMonitor {
 public:
  struct Event {
    std::uint16_t number = 0;  // one ZMQ_EVENT_…
    std::uint32_t value = 0;   // a descriptor, an errno, a status or a protocol error: see there
  };

  // Watches `socket` of `context` from before it binds or connects, for `events`.
  ZmqMonitor(Loop& loop, void* context, void* socket, int events,
             std::function<void(const Event&)> on_event);
  ~ZmqMonitor();  // before the socket is closed
  ZmqMonitor(const ZmqMonitor&) = delete;
  ZmqMonitor& operator=(const ZmqMonitor&) = delete;

  // Takes what there is now, rather than in the loop's next turn. Not from within `on_event`.
  void read_events();

 private:
  void* watched_;
  void* pair_;
  std::function<void(const Event&)> on_event_;
  std::unique_ptr<FdWatch> watch_;
};

}  // namespace fanfare
