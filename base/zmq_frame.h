// A libzmq message that ends with its scope. Private to base/zmq_*.
#pragma once

#include <zmq.h>

#include <cerrno>
#include <string_view>

namespace fanfare {

class ZmqFrame {
 public:
  ZmqFrame() { zmq_msg_init(&message_); }
  ~ZmqFrame() { zmq_msg_close(&message_); }
  ZmqFrame(const ZmqFrame&) = delete;
  ZmqFrame& operator=(const ZmqFrame&) = delete;

  // False if there is none.
  bool receive(void* socket) {
    int size = -1;
    do {
      size = zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    return size >= 0;
  }
  bool more() const { return zmq_msg_more(&message_) != 0; }
  std::string_view bytes() {
    return {static_cast<const char*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)};
  }
  // What the connection that it came by is known by; empty if that is not known.
  std::string_view property(const char* name) {
    const char* value = zmq_msg_gets(&message_, name);
    return value == nullptr ? std::string_view{} : std::string_view{value};
  }

 private:
  zmq_msg_t message_;
};

}  // namespace fanfare
