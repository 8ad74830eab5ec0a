#include "base/zmq_monitor.h"

#include <fmt/format.h>
#include <zmq.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>

namespace fanfare {
namespace {

// Takes one event: a frame with its number and value, then one with the endpoint. 0 = not an event
// that was asked for; nothing = no more events.
std::optional<std::uint16_t> take_event(void* pair) {
  std::optional<std::uint16_t> event;
  bool first = true, more = true;
  while (more) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    int size = -1;
    do {
      size = zmq_msg_recv(&frame, pair, ZMQ_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    more = size >= 0 && zmq_msg_more(&frame) != 0;
    if (first && size >= 0) {
      std::uint16_t number = 0;
      if (zmq_msg_size(&frame) >= sizeof number)
        std::memcpy(&number, zmq_msg_data(&frame), sizeof number);
      event = number;
    }
    first = false;
    zmq_msg_close(&frame);
  }
  return event;
}

}  // namespace

ZmqMonitor::ZmqMonitor(Loop& loop, void* context, void* socket, std::function<void(bool)> on_change)
    : watched_(socket), pair_(zmq_socket(context, ZMQ_PAIR)), on_change_(std::move(on_change)) {
  if (pair_ == nullptr) return;
  const std::string endpoint = fmt::format("inproc://monitor-{}", fmt::ptr(this));
  zmq_socket_monitor(socket, endpoint.c_str(),
                     ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED);
  const int linger = 0;
  zmq_setsockopt(pair_, ZMQ_LINGER, &linger, sizeof linger);
  zmq_connect(pair_, endpoint.c_str());
  int fd = -1;
  std::size_t size = sizeof fd;
  zmq_getsockopt(pair_, ZMQ_FD, &fd, &size);
  watch_ = std::make_unique<FdWatch>(loop, fd, [this] { read_events(); });
  read_events();  // there is none yet, but ZMQ_FD tells only of what comes after a look
}

ZmqMonitor::~ZmqMonitor() {
  watch_.reset();
  zmq_socket_monitor(watched_, nullptr, 0);
  if (pair_ != nullptr) zmq_close(pair_);
}

void ZmqMonitor::read_events() {
  // Read until there is none, so that nothing is left that ZMQ_FD would not tell of again.
  while (const auto event = take_event(pair_)) {
    if (*event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) on_change_(true);
    if (*event == ZMQ_EVENT_DISCONNECTED) on_change_(false);
  }
}

}  // namespace fanfare
