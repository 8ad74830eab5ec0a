#include "base/zmq_socket.h"

#include <fmt/format.h>
#include <zmq.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/zmq_endpoint.h"
#include "base/zmq_frame.h"
#include "base/zmq_guard.h"
#include "base/zmq_monitor.h"
#include "base/zmq_zap.h"

namespace fanfare {
namespace {

constexpr int kMessagesPerTurn = 1000;
constexpr Duration kRetryAfter = std::chrono::milliseconds{2};
constexpr std::size_t kCopyBytesMax = 4096;  // above, a frame's own memory is handed to ZeroMQ
// libzmq 4.3 knows it in every build, and names it in its header for builds with drafts only.
constexpr int kZapEnforceDomain = 93;
constexpr Duration kRefusedPauseMax = std::chrono::seconds{5};
constexpr int kDealerEvents =
    ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
    ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;

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

// A frame of 16 MiB that comes at 9 Mbit/s takes so long; a worker's lease is twice that.
constexpr Duration kSilenceMax = std::chrono::seconds{15};
constexpr Duration kConnectTimeout = std::chrono::seconds{3};  // the kernel would take two minutes

ZmqOptions options_to(const std::string& endpoint, std::shared_ptr<const CurveClient> curve) {
  ZmqOptions options;
  options.curve_client = std::move(curve);
  if (endpoint.starts_with("ipc://")) return options;
  options.silence_max = kSilenceMax;
  options.connect_timeout = kConnectTimeout;
  return options;
}

struct ZmqSocket::Impl {
  Impl(Loop& on_loop, ZmqContext& context, ZmqOptions with_options, Handlers with_handlers)
      : loop(on_loop),
        options(std::move(with_options)),
        handlers(std::move(with_handlers)),
        socket(zmq_socket(context.handle(), is_router() ? ZMQ_ROUTER : ZMQ_DEALER)) {
    if (socket == nullptr) return;
    set_options();
    if (!set_curve()) {
      zmq_close(socket);
      socket = nullptr;
      without_curve = true;
      return;
    }
    if (!is_router()) {
      monitor =
          std::make_unique<ZmqMonitor>(loop, context.handle(), socket, kDealerEvents,
                                       [this](const ZmqMonitor::Event& event) { on_event(event); });
    } else if (options.curve_server) {
      guard = std::make_unique<ZmqGuard>(loop, context.handle(), socket, options.connection_limits,
                                         handlers.on_connection_refused);
    }
    watch = std::make_unique<FdWatch>(loop, get_option<int>(socket, ZMQ_FD), [this] { receive(); });
    hook = loop.before_wait([this] { check_events(); }, Loop::HookOrder::kWrite);
  }

  ~Impl() {
    *alive = false;
    watch.reset();
    monitor.reset();
    guard.reset();
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
    if (options.connect_timeout > Duration{0}) {
      set_option(socket, ZMQ_CONNECT_TIMEOUT, milliseconds(options.connect_timeout));
    }
    if (options.silence_max == Duration{0}) return;
    set_option(socket, ZMQ_HEARTBEAT_IVL, std::max(1, milliseconds(options.silence_max / 3)));
    set_option(socket, ZMQ_HEARTBEAT_TIMEOUT, milliseconds(options.silence_max));
    set_option(socket, ZMQ_HEARTBEAT_TTL, milliseconds(options.silence_max));
    // What was sent and is not even acknowledged by the other end's kernel.
    set_option(socket, ZMQ_TCP_MAXRT, milliseconds(options.silence_max));
  }

  // False if libzmq would not have all of it: then the socket is not to be used, as it might speak
  // to anybody.
  bool set_curve() {
    const auto set = [this](int option, const void* value, std::size_t size) {
      return zmq_setsockopt(socket, option, value, size) == 0;
    };
    const auto set_key = [&](int option, const char* z85) { return set(option, z85, kKeyChars); };
    if (options.curve_server) {
      constexpr int kYes = 1;
      return is_router() && set(ZMQ_CURVE_SERVER, &kYes, sizeof kYes) &&
             set_key(ZMQ_CURVE_SECRETKEY, options.curve_server->own.secret.z85()) &&
             set(ZMQ_ZAP_DOMAIN, kZapDomain.data(), kZapDomain.size()) &&
             set(kZapEnforceDomain, &kYes, sizeof kYes);
    }
    if (!options.curve_client) return true;
    const CurveClient& client = *options.curve_client;
    return !is_router() && set_key(ZMQ_CURVE_SERVERKEY, client.server.text().c_str()) &&
           set_key(ZMQ_CURVE_PUBLICKEY, client.own.open.text().c_str()) &&
           set_key(ZMQ_CURVE_SECRETKEY, client.own.secret.z85());
  }

  // Only where it is wanted: with it, libzmq looks names up as IPv6 first.
  void allow_ipv6(const std::string& address) const {
    if (address.starts_with("tcp://[")) set_option(socket, ZMQ_IPV6, 1);
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
    ZmqFrame first;
    if (!first.receive(socket)) return false;
    if (!is_router()) {
      if (first.more()) return drop_rest(PeerId{});
      handlers.on_message(PeerId{}, first.bytes());
      return true;
    }
    if (guard) return receive_from(first);
    const PeerId peer = tagged(first.bytes());
    ZmqFrame body;
    if (!first.more() || !body.receive(socket)) return drop_rest(peer);
    if (body.more()) return drop_rest(peer);
    handlers.on_message(peer, body.bytes());
    return true;
  }

  PeerId tagged(std::string_view routing_id) const {
    std::string id;
    if (options.peer_tag != 0) id = options.peer_tag;
    return PeerId{std::move(id.append(routing_id))};
  }

  // The properties are the connection's, which nobody but libzmq and the ZapHandler sets; a routing
  // id is whatever the peer has chosen. They are the body's: the frame before it has none if a look
  // at ZMQ_EVENTS has fetched it (libzmq 4.3.4, router_t::xhas_in).
  bool receive_from(ZmqFrame& id) {
    ZmqFrame body;
    const bool one = id.more() && body.receive(socket) && !body.more();
    const std::string user{body.property("User-Id")}, address{body.property("Peer-Address")};
    const std::string_view fd_text = body.property("__fd");
    int fd = -1;
    std::from_chars(fd_text.data(), fd_text.data() + fd_text.size(), fd);
    const bool in = user.size() == kKeyChars && guard->on_message(fd, user, id.bytes());
    const PeerId peer = tagged(user + std::string(id.bytes()));
    if (!in) return skip_rest();
    if (!one) return drop_rest(peer);
    handlers.on_message_from(peer, {user, address}, body.bytes());
    return true;
  }

  bool skip_rest() {
    while (get_option<int>(socket, ZMQ_RCVMORE) != 0) {
      ZmqFrame rest;
      if (!rest.receive(socket)) break;
    }
    return true;
  }

  // What is not one frame is junk: takes the rest of it away and counts it.
  bool drop_rest(const PeerId& peer) {
    skip_rest();
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
    if (is_router()) {
      std::string_view routing_id = peer.value();
      if (options.peer_tag != 0)
        routing_id.remove_prefix(std::min<std::size_t>(1, routing_id.size()));
      if (guard && !still_owns(routing_id)) return stale("the peer is gone");
      error = send_copy(socket, routing_id, ZMQ_SNDMORE);
    }
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

  // Takes the key from before `id`. libzmq looks at its connections here, and not once more within
  // a millisecond, when the frame goes out: so who is asked for is who gets it.
  bool still_owns(std::string_view& id) {
    const std::string_view user = id.substr(0, kKeyChars);
    id.remove_prefix(user.size());
    get_option<int>(socket, ZMQ_EVENTS);
    return guard->owns(user, id);
  }

  void on_event(const ZmqMonitor::Event& event) {
    switch (event.number) {
      case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return connection_changed(true);
      case ZMQ_EVENT_DISCONNECTED:
        return connection_changed(false);
      case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return refused(ConnectRefusal::kKeyNotAllowed);
      case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        return refused(ConnectRefusal::kOtherSecurity);
      case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        return refused(ConnectRefusal::kNoHandshake);
      default:
        return;
    }
  }

  void refused(ConnectRefusal why) {
    if (why != ConnectRefusal::kNoHandshake) connect_again_later();
    if (handlers.on_refused) handlers.on_refused(why);
  }

  // What libzmq takes for a peer's last word, a refusal or nonsense, it never asks again. But a key
  // may be allowed in a moment, and a broker may take the place of what listened there.
  void connect_again_later() {
    refused_pause =
        std::clamp<Duration>(2 * refused_pause, options.reconnect_min, kRefusedPauseMax);
    again_timer.start_after(refused_pause);
  }

  void connect_again() {
    zmq_disconnect(socket, endpoint.c_str());  // else it counts as connected
    unchecked = true;
    zmq_connect(socket, endpoint.c_str());
  }

  void connection_changed(bool up) {
    if (up) {
      get_option<int>(socket, ZMQ_EVENTS);  // lets the socket take notice of the new connection
      unchecked = true;
      refused_pause = Duration{0};
      if (connections++ == 0 && handlers.on_connected) handlers.on_connected();
    } else if (connections > 0 && --connections == 0 && handlers.on_disconnected) {
      handlers.on_disconnected();
    }
  }

  Error no_socket() const {
    if (without_curve) return fatal("this machine's libzmq has no CURVE: install Debian's libzmq5");
    return fatal("cannot open a ZeroMQ socket: too many open files; raise the limit (ulimit -n)");
  }

  Loop& loop;
  const ZmqOptions options;
  const Handlers handlers;
  void* socket;
  bool without_curve = false;
  std::unique_ptr<ZmqMonitor> monitor;  // of a DEALER
  std::unique_ptr<ZmqGuard> guard;      // of a ROUTER with curve_server
  std::unique_ptr<FdWatch> watch;
  Loop::Hook hook;
  const std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  std::string endpoint;  // of a DEALER
  Duration refused_pause{0};
  int connections = 0;
  std::uint64_t malformed = 0;
  bool turn_posted = false;
  bool unchecked = true;  // ZMQ_EVENTS must be looked at before the loop waits for ZMQ_FD
  Timer again_timer{loop, [this] { connect_again(); }};
  Timer retry_timer{loop, [this] {
                      if (handlers.on_writable) handlers.on_writable();
                    }};
};

ZmqSocket::ZmqSocket(Loop& loop, ZmqContext& context, ZmqOptions options, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, context, std::move(options), std::move(handlers))) {}
ZmqSocket::~ZmqSocket() = default;

Result<void> ZmqSocket::bind(const std::string& endpoint) {
  if (impl_->socket == nullptr) return impl_->no_socket();
  if (auto checked = check_bind(endpoint); !checked) return checked;
  impl_->allow_ipv6(endpoint);
  impl_->unchecked = true;
  if (zmq_bind(impl_->socket, endpoint.c_str()) != 0)
    return explain_zmq_error("listen on", endpoint, errno);
  return {};
}

Result<void> ZmqSocket::connect(const std::string& endpoint) {
  if (impl_->socket == nullptr) return impl_->no_socket();
  if (auto checked = check_connect(endpoint); !checked) return checked;
  impl_->allow_ipv6(endpoint);
  impl_->unchecked = true;
  if (zmq_connect(impl_->socket, endpoint.c_str()) != 0) {
    return explain_zmq_error("connect to", endpoint, errno);
  }
  impl_->endpoint = endpoint;
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

void ZmqSocket::note_key_refused(std::string_view address) {
  if (impl_->guard) impl_->guard->on_key_refused(address);
}

std::size_t ZmqSocket::cut_off(std::string_view user) {
  return impl_->guard ? impl_->guard->cut_off(user) : 0;
}

std::size_t ZmqSocket::open_connections() const {
  return impl_->guard ? impl_->guard->open() : 0;
}

}  // namespace fanfare
