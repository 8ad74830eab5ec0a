#include "base/zmq_socket.h"

#include <fmt/format.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/zmq_endpoint.h"
#include "base/zmq_monitor.h"

namespace fanfare {
namespace {

constexpr int kMessagesPerTurn = 1000;
constexpr Duration kRetryAfter = std::chrono::milliseconds{2};
constexpr std::size_t kCopyBytesMax = 4096;  // above, a frame's own memory is handed to ZeroMQ

template <typename T>
void set_option(void* socket, int option, T value) {
  zmq_setsockopt(socket, option, &value, sizeof value);
}

template <typename T>
T get_option(void* socket, int option) {
  T value{};
  std::size_t size = sizeof value;
  while (zmq_getsockopt(socket, option, &value, &size) != 0 && errno == EINTR) {
  }
  return value;
}

int milliseconds(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<std::int64_t>(count, 0, 1 << 30));
}

// A message that ends with its scope.
class Frame {
 public:
  Frame() { zmq_msg_init(&message_); }
  ~Frame() { zmq_msg_close(&message_); }
  Frame(const Frame&) = delete;
  Frame& operator=(const Frame&) = delete;

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

 private:
  zmq_msg_t message_;
};

// 0 or the error.
int send_copy(void* socket, std::string_view bytes, int flags) {
  for (;;) {
    if (zmq_send(socket, bytes.data(), bytes.size(), flags | ZMQ_DONTWAIT) >= 0) return 0;
    if (errno != EINTR) return errno;
  }
}

// The same without a copy; `bytes` is taken if it succeeds.
int send_owned(void* socket, std::string& bytes) {
  auto* owned = new std::string(std::move(bytes));
  zmq_msg_t message;
  zmq_msg_init_data(
      &message, owned->data(), owned->size(),
      [](void*, void* owner) { delete static_cast<std::string*>(owner); }, owned);
  for (;;) {
    if (zmq_msg_send(&message, socket, ZMQ_DONTWAIT) >= 0) return 0;
    if (errno == EINTR) continue;
    const int error = errno;
    bytes = std::move(*owned);
    zmq_msg_close(&message);
    return error;
  }
}

}  // namespace

ZmqContext::ZmqContext(int io_threads) : context_(zmq_ctx_new()) {
  zmq_ctx_set(context_, ZMQ_IO_THREADS, io_threads);
  zmq_ctx_set(context_, ZMQ_MAX_SOCKETS, 65535);
}

ZmqContext::~ZmqContext() {
  while (zmq_ctx_term(context_) != 0 && errno == EINTR) {
  }
}

struct ZmqSocket::Impl {
  Impl(Loop& on_loop, ZmqContext& context, ZmqOptions with_options, Handlers with_handlers)
      : loop(on_loop),
        options(with_options),
        handlers(std::move(with_handlers)),
        socket(zmq_socket(context.handle(), is_router() ? ZMQ_ROUTER : ZMQ_DEALER)) {
    if (socket == nullptr) return;
    set_options();
    if (!is_router()) {
      monitor = std::make_unique<ZmqMonitor>(loop, context.handle(), socket,
                                             [this](bool up) { connection_changed(up); });
    }
    watch = std::make_unique<FdWatch>(loop, get_option<int>(socket, ZMQ_FD), [this] { receive(); });
    hook = loop.before_wait([this] { check_events(); }, Loop::HookOrder::kWrite);
  }

  ~Impl() {
    *alive = false;
    watch.reset();
    monitor.reset();
    if (socket != nullptr) zmq_close(socket);
  }

  bool is_router() const { return options.kind == ZmqKind::kRouter; }

  void set_options() {
    set_option(socket, ZMQ_LINGER, milliseconds(options.linger));
    set_option(socket, ZMQ_MAXMSGSIZE, options.message_bytes_max);
    set_option(socket, ZMQ_SNDHWM, options.send_messages_max);
    set_option(socket, ZMQ_RCVHWM, options.receive_messages_max);
    set_option(socket, ZMQ_HANDSHAKE_IVL, milliseconds(options.handshake_timeout));
    set_option(socket, ZMQ_RECONNECT_IVL, std::max(1, milliseconds(options.reconnect_min)));
    set_option(socket, ZMQ_RECONNECT_IVL_MAX, milliseconds(options.reconnect_max));
    set_option(socket, ZMQ_IMMEDIATE, options.immediate ? 1 : 0);
    if (is_router()) set_option(socket, ZMQ_ROUTER_MANDATORY, 1);
  }

  // ---- receiving ----

  void receive() {
    for (int taken = 0; taken < kMessagesPerTurn; ++taken) {
      if (!receive_one()) {
        unchecked = true;  // for what a handler's sends may have brought to light
        return;
      }
    }
    receive_in_next_turn();  // ZMQ_FD is edge-triggered: it will not tell of what is left
  }

  bool receive_one() {
    Frame first;
    if (!first.receive(socket)) return false;
    if (!is_router()) {
      if (first.more()) return drop_rest(PeerId{});
      handlers.on_message(PeerId{}, first.bytes());
      return true;
    }
    const PeerId peer{std::string(first.bytes())};
    Frame body;
    if (!first.more() || !body.receive(socket)) return drop_rest(peer);
    if (body.more()) return drop_rest(peer);
    handlers.on_message(peer, body.bytes());
    return true;
  }

  // What is not one frame is junk: takes the rest of it away and counts it.
  bool drop_rest(const PeerId& peer) {
    while (get_option<int>(socket, ZMQ_RCVMORE) != 0) {
      Frame rest;
      if (!rest.receive(socket)) break;
    }
    ++malformed;
    if (handlers.on_malformed) handlers.on_malformed(peer);
    return true;
  }

  void receive_in_next_turn() {
    if (turn_posted) return;
    turn_posted = true;
    loop.post([this, still = alive] {
      if (!*still) return;
      turn_posted = false;
      receive();
    });
  }

  // Before the loop waits: anything that sending or receiving took from ZMQ_FD without telling us.
  void check_events() {
    if (!unchecked) return;
    unchecked = false;
    const int events = get_option<int>(socket, ZMQ_EVENTS);
    if ((events & ZMQ_POLLIN) != 0) receive_in_next_turn();
  }

  // ---- sending ----

  Result<void> send(const PeerId& peer, std::string& frame) {
    if (socket == nullptr) return no_socket();
    if (static_cast<std::int64_t>(frame.size()) > options.message_bytes_max) {
      return reject(fmt::format("a message of {} bytes is over the limit of {}", frame.size(),
                                options.message_bytes_max));
    }
    unchecked = true;
    int error = 0;
    if (is_router()) error = send_copy(socket, peer.value(), ZMQ_SNDMORE);
    if (error == 0) {
      error =
          frame.size() > kCopyBytesMax ? send_owned(socket, frame) : send_copy(socket, frame, 0);
    }
    if (error == 0) return {};
    if (error == EHOSTUNREACH) return stale("the peer is gone");
    if (error != EAGAIN) return fatal(fmt::format("sending over ZeroMQ: {}", zmq_strerror(error)));
    // ZeroMQ does not tell when one particular peer can be sent to again, so that is tried in a
    // while.
    if (!retry_timer.running()) retry_timer.start_after(kRetryAfter);
    return retry_later(is_router() || connections > 0 ? "the peer does not read fast enough"
                                                      : "not connected");
  }

  void connection_changed(bool up) {
    if (up) {
      get_option<int>(socket, ZMQ_EVENTS);  // lets the socket take notice of the new connection
      unchecked = true;
      if (connections++ == 0 && handlers.on_connected) handlers.on_connected();
    } else if (connections > 0 && --connections == 0 && handlers.on_disconnected) {
      handlers.on_disconnected();
    }
  }

  static Error no_socket() {
    return fatal("cannot open a ZeroMQ socket: too many open files; raise the limit (ulimit -n)");
  }

  Loop& loop;
  const ZmqOptions options;
  const Handlers handlers;
  void* socket;
  std::unique_ptr<ZmqMonitor> monitor;
  std::unique_ptr<FdWatch> watch;
  Loop::Hook hook;
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  int connections = 0;
  std::uint64_t malformed = 0;
  bool turn_posted = false;
  bool unchecked = true;  // ZMQ_EVENTS must be looked at before the loop waits for ZMQ_FD
  Timer retry_timer{loop, [this] {
                      if (handlers.on_writable) handlers.on_writable();
                    }};
};

ZmqSocket::ZmqSocket(Loop& loop, ZmqContext& context, ZmqOptions options, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, context, options, std::move(handlers))) {}
ZmqSocket::~ZmqSocket() = default;

Result<void> ZmqSocket::bind(const std::string& endpoint) {
  if (impl_->socket == nullptr) return Impl::no_socket();
  if (auto checked = check_bind(endpoint); !checked) return checked;
  impl_->unchecked = true;
  if (zmq_bind(impl_->socket, endpoint.c_str()) != 0)
    return explain_zmq_error("listen on", endpoint, errno);
  return {};
}

Result<void> ZmqSocket::connect(const std::string& endpoint) {
  if (impl_->socket == nullptr) return Impl::no_socket();
  if (auto checked = check_connect(endpoint); !checked) return checked;
  impl_->unchecked = true;
  if (zmq_connect(impl_->socket, endpoint.c_str()) != 0) {
    return explain_zmq_error("connect to", endpoint, errno);
  }
  return {};
}

std::string ZmqSocket::bound_endpoint() const {
  std::string endpoint(256, '\0');
  std::size_t size = endpoint.size();
  if (zmq_getsockopt(impl_->socket, ZMQ_LAST_ENDPOINT, endpoint.data(), &size) != 0) return {};
  endpoint.resize(size > 0 ? size - 1 : 0);  // its size counts the final NUL
  return endpoint;
}

Result<void> ZmqSocket::send(const PeerId& peer, std::string&& frame) {
  return impl_->send(peer, frame);
}

bool ZmqSocket::connected() const {
  return impl_->connections > 0;
}

std::uint64_t ZmqSocket::malformed() const {
  return impl_->malformed;
}

}  // namespace fanfare
