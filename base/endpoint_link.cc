#include "base/endpoint_link.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include "base/direct_door.h"
#include "base/frame_stream.h"
#include "base/unix_socket.h"
#include "base/zmq_endpoint.h"

namespace fanfare {
namespace {

// To try costs next to nothing on one host, and a broker that is back is met so much the sooner.
constexpr Duration kPauseMax = std::chrono::milliseconds{200};

}  // namespace

struct EndpointLink::Impl {
  Impl(Loop& on_loop, ZmqContext& in_context, ZmqOptions with_options, Handlers with_handlers)
      : loop(on_loop),
        context(in_context),
        options(std::move(with_options)),
        handlers(std::move(with_handlers)) {}

  ~Impl() {
    if (by_zmq) *by_zmq = false;
    if (stream) stream->write_until(std::chrono::steady_clock::now() + options.linger);
  }

  Result<void> connect(const std::string& to) {
    endpoint = to;
    path = direct_path(endpoint);
    if (path.empty()) return connect_by_zmq();
    if (auto fine = check_connect(endpoint); !fine) return fine;
    return find_a_way();
  }

  // The direct door; else ZeroMQ, if somebody listens there; else later. Both may have been opened
  // between two looks, and the door comes first: so it is looked at once more.
  Result<void> find_a_way() {
    const bool strange = std::exchange(door_is_strange, false);
    if (!strange && meet_at_door()) return {};
    if (!connect_unix(ipc_path(), UnixKind::kStream)) {
      try_again_later();
      return {};
    }
    if (!strange && meet_at_door()) return {};
    auto connected = connect_by_zmq();
    connected ? patience.start_after(options.handshake_timeout) : try_again_later();
    return connected;
  }

  std::string ipc_path() const { return endpoint.substr(std::string_view("ipc://").size()); }

  void try_again_later() {
    const Duration most = std::min(options.reconnect_max, kPauseMax);
    pause = std::min(std::max<Duration>(2 * pause, options.reconnect_min), most);
    std::uniform_int_distribution<Duration::rep> more(0, options.reconnect_min.count());
    again.start_after(pause + Duration{more(random)});
  }

  // ---- direct ----

  bool meet_at_door() {
    auto socket = connect_unix(path, UnixKind::kStream);
    const bool fine = socket && made_by_owner_of(ipc_path(), socket->get());
    if (fine) meet(*std::move(socket));
    return fine;
  }

  void meet(Fd socket) {
    FrameStream::Handlers on;
    on.on_greeted = [this] {
      patience.stop();
      pause = Duration{0};
      if (handlers.on_connected) handlers.on_connected();
    };
    on.on_frame = [this](std::string_view frame) { handlers.on_message(frame); };
    on.on_writable = [this] {
      if (handlers.on_writable) handlers.on_writable();
    };
    on.on_end = [this](FrameStream::End how) { part(how); };
    if (!buffers) buffers.emplace();
    stream = std::make_unique<FrameStream>(loop, std::move(socket),
                                           static_cast<std::size_t>(options.message_bytes_max),
                                           *buffers, std::move(on));
    patience.start_after(options.handshake_timeout);
  }

  // Its own handlers are calling: it goes at the end of the turn.
  void part(FrameStream::End how) {
    patience.stop();
    const bool met = stream->greeted();
    door_is_strange = !met && how == FrameStream::End::kStranger;  // of a later release
    loop.post([doomed = std::shared_ptr<FrameStream>(std::move(stream))] {});
    if (met && handlers.on_disconnected) handlers.on_disconnected();
    try_again_later();
  }

  // ---- by ZeroMQ ----

  Result<void> connect_by_zmq() {
    by_zmq = std::make_shared<bool>(true);
    ZmqSocket::Handlers on;
    on.on_message = [this, still = by_zmq](const PeerId&, std::string_view frame) {
      if (*still) handlers.on_message(frame);
    };
    on.on_connected = [this, still = by_zmq] {
      if (!*still) return;
      patience.stop();
      pause = Duration{0};
      if (handlers.on_connected) handlers.on_connected();
    };
    on.on_disconnected = [this, still = by_zmq] {
      if (!*still) return;
      if (!path.empty()) leave_zmq();
      if (handlers.on_disconnected) handlers.on_disconnected();
    };
    on.on_writable = [this, still = by_zmq] {
      if (*still && handlers.on_writable) handlers.on_writable();
    };
    on.on_malformed = [this, still = by_zmq](const PeerId&) {
      if (*still && handlers.on_malformed) handlers.on_malformed();
    };
    on.on_refused = [this, still = by_zmq](ConnectRefusal why) {
      if (*still && handlers.on_refused) handlers.on_refused(why);
    };
    zmq = std::make_unique<ZmqSocket>(loop, context, options, std::move(on));
    auto connected = zmq->connect(endpoint);
    if (!connected) zmq.reset();
    return connected;
  }

  // Nobody reads there, or he has gone before he was met.
  void lose_patience() {
    stream.reset();
    if (zmq) *by_zmq = false;
    zmq.reset();
    try_again_later();
  }

  // What comes back there may have a direct door. Its own handlers are calling: it goes at the end
  // of the turn, unheard.
  void leave_zmq() {
    patience.stop();
    *by_zmq = false;
    loop.post([doomed = std::shared_ptr<ZmqSocket>(std::move(zmq))] {});
    try_again_later();
  }

  Loop& loop;
  ZmqContext& context;
  const ZmqOptions options;
  const Handlers handlers;
  std::string endpoint, path;
  std::optional<FrameBuffers> buffers;  // once there is a door
  std::unique_ptr<FrameStream> stream;
  std::unique_ptr<ZmqSocket> zmq;
  std::shared_ptr<bool> by_zmq;  // false: that one's words are not heard any more
  Duration pause{0};
  std::minstd_rand random{static_cast<std::minstd_rand::result_type>(::getpid())};
  bool door_is_strange = false;
  Timer again{loop, [this] { (void)find_a_way(); }};
  Timer patience{loop, [this] { lose_patience(); }};
};

EndpointLink::EndpointLink(Loop& loop, ZmqContext& context, ZmqOptions options, Handlers handlers)
    : impl_(std::make_unique<Impl>(loop, context, std::move(options), std::move(handlers))) {}
EndpointLink::~EndpointLink() = default;

Result<void> EndpointLink::connect(const std::string& endpoint) {
  return impl_->connect(endpoint);
}

Result<void> EndpointLink::send(std::string&& frame) {
  if (impl_->zmq) return impl_->zmq->send(std::move(frame));
  if (!connected()) return retry_later("not connected");
  auto sent = impl_->stream->send(frame);
  if (!sent && sent.error().kind == ErrorKind::kStale) return retry_later("not connected");
  return sent;
}

bool EndpointLink::connected() const {
  return impl_->zmq ? impl_->zmq->connected() : direct();
}

bool EndpointLink::direct() const {
  return impl_->stream && impl_->stream->greeted();
}

}  // namespace fanfare
