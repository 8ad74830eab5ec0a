#include "base/zmq_monitor.h"

#include <fmt/format.h>
#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "base/zmq_frame.h"

namespace fanfare {
namespace {

// Takes one event: a frame with its number and value, then one with the endpoint. Nothing = no more
// events.
std::optional<ZmqMonitor::Event> take_event(void* pair) {
  std::optional<ZmqMonitor::Event> event;
  bool first = true, more = true;
  while (more) {
    ZmqFrame frame;
    const bool received = frame.receive(pair);
    more = received && frame.more();
    if (first && received) {
      ZmqMonitor::Event read;
      const std::string_view bytes = frame.bytes();
      if (bytes.size() >= sizeof read.number + sizeof read.value) {
        std::memcpy(&read.number, bytes.data(), sizeof read.number);
        std::memcpy(&read.value, bytes.data() + sizeof read.number, sizeof read.value);
      }
      event = read;
    }
    first = false;
  }
  return event;
}

}  // namespace

ZmqMonitor::ZmqMonitor(Loop& loop, void* context, void* socket, int events,
                       std::function<void(const Event&)> on_event)
    : watched_(socket), pair_(zmq_socket(context, ZMQ_PAIR)), on_event_(std::move(on_event)) {
  if (pair_ == nullptr) return;
  // libzmq gives an endpoint's name back a moment after its socket was closed, and one that was at
  // this address before may just have gone.
  std::string endpoint;
  int error = EADDRINUSE;
  for (int number = 0; error == EADDRINUSE; ++number) {
    endpoint = fmt::format("inproc://monitor-{}-{}", fmt::ptr(this), number);
    error = zmq_socket_monitor(socket, endpoint.c_str(), events) == 0 ? 0 : zmq_errno();
  }
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
  while (const auto event = take_event(pair_)) on_event_(*event);
}

}  // namespace fanfare
