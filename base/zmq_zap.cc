#include "base/zmq_zap.h"

#include <fmt/format.h>
#include <zmq.h>

#include <cerrno>
#include <string>
#include <vector>

#include "base/zmq_frame.h"

namespace fanfare {
namespace {

constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";
constexpr std::string_view kZapVersion = "1.0";

// The frames of a request behind its envelope, by their place in RFC 27.
enum ZapFrame { kVersion, kRequestId, kDomain, kAddress, kIdentity, kMechanism, kCredentials };

std::vector<std::string> receive_all(void* socket) {
  std::vector<std::string> frames;
  for (bool more = true; more;) {
    ZmqFrame frame;
    if (!frame.receive(socket)) return {};
    more = frame.more();
    frames.emplace_back(frame.bytes());
  }
  return frames;
}

void send_all(void* socket, const std::vector<std::string_view>& frames) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
    while (zmq_send(socket, frames[i].data(), frames[i].size(), more | ZMQ_DONTWAIT) < 0 &&
           errno == EINTR) {
    }
  }
}

}  // namespace

Result<std::unique_ptr<ZapHandler>> ZapHandler::start(Loop& loop, ZmqContext& context,
                                                      Judge judge) {
  void* socket = zmq_socket(context.handle(), ZMQ_ROUTER);
  if (socket == nullptr) return fatal("cannot open a ZeroMQ socket: too many open files");
  const int linger = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  if (zmq_bind(socket, kZapEndpoint) != 0) {
    const int error = errno;
    zmq_close(socket);
    return fatal(fmt::format("cannot take requests at {}: {}", kZapEndpoint, zmq_strerror(error)));
  }
  return std::unique_ptr<ZapHandler>(new ZapHandler(loop, socket, std::move(judge)));
}

ZapHandler::ZapHandler(Loop& loop, void* socket, Judge judge)
    : socket_(socket), judge_(std::move(judge)) {
  int fd = -1;
  std::size_t size = sizeof fd;
  zmq_getsockopt(socket_, ZMQ_FD, &fd, &size);
  watch_ = std::make_unique<FdWatch>(loop, fd, [this] { answer_all(); });
  answer_all();  // ZMQ_FD tells only of what comes after a look
}

ZapHandler::~ZapHandler() {
  watch_.reset();
  zmq_close(socket_);
}

// Until there are none, also after an answer has been sent: sending takes from ZMQ_FD what it would
// have told.
void ZapHandler::answer_all() {
  for (;;) {
    const std::vector<std::string> frames = receive_all(socket_);
    if (frames.empty()) return;
    // The envelope ends with an empty frame; what is in it goes back as it came.
    std::size_t envelope = 0;
    while (envelope < frames.size() && !frames[envelope].empty()) ++envelope;
    const std::size_t first = envelope + 1;
    if (frames.size() <= first + kMechanism || frames[first] != kZapVersion) continue;
    const auto at = [&](ZapFrame which) -> const std::string& { return frames[first + which]; };

    std::string user;
    if (at(kMechanism) == "CURVE" && at(kDomain) == kZapDomain &&
        frames.size() == first + kCredentials + 1) {
      const auto key = PublicKey::from_bytes(at(kCredentials));
      if (key && judge_(*key, at(kAddress))) user = key->text();
    }
    const bool let_in = !user.empty();
    std::vector<std::string_view> answer(frames.begin(),
                                         frames.begin() + static_cast<std::ptrdiff_t>(first));
    answer.insert(answer.end(), {kZapVersion,
                                 at(kRequestId),
                                 let_in ? "200" : "400",
                                 let_in ? "OK" : "this key is not allowed",
                                 user,
                                 {}});
    send_all(socket_, answer);
  }
}

}  // namespace fanfare
