#include "base/direct_door.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/unix_socket.h"

namespace fanfare {
namespace {

constexpr std::string_view kScheme = "ipc://";
constexpr std::string_view kSuffix = ".direct";
constexpr int kAcceptedPerTurn = 64;

PeerId peer_of(char tag, std::uint64_t number) {
  std::string id(1 + sizeof number, tag);
  std::memcpy(id.data() + 1, &number, sizeof number);
  return PeerId{std::move(id)};
}

std::uint64_t number_in(std::string_view peer) {
  std::uint64_t number = 0;
  if (peer.size() == 1 + sizeof number) std::memcpy(&number, peer.data() + 1, sizeof number);
  return number;
}

}  // namespace

std::string direct_path(std::string_view endpoint) {
  if (!endpoint.starts_with(kScheme)) return {};
  std::string path{endpoint.substr(kScheme.size())};
  if (path.empty() || path == "*" || path.starts_with('@')) return {};
  path += kSuffix;
  return path.size() < sizeof(sockaddr_un::sun_path) ? path : std::string{};
}

Result<std::unique_ptr<DirectDoor>> DirectDoor::open(Loop& loop, const std::string& endpoint,
                                                     Options options, Handlers handlers) {
  const std::string path = direct_path(endpoint);
  if (path.empty()) return reject(fmt::format("no socket can be named beside {}", endpoint));
  struct stat file{};
  if (::lstat(path.c_str(), &file) == 0) {
    if (!S_ISSOCK(file.st_mode)) {
      return fatal(
          fmt::format("cannot listen at {}: there is a file that is no socket; move it "
                      "away",
                      path));
    }
    if (somebody_listens(path, UnixKind::kStream)) {
      return fatal(
          fmt::format("cannot listen at {}: another process listens there; stop it or "
                      "choose another path",
                      path));
    }
    ::unlink(path.c_str());
  }
  auto listening = listen_unix(path, UnixKind::kStream);
  if (!listening) return listening.error();
  return std::unique_ptr<DirectDoor>(
      new DirectDoor(loop, endpoint, *std::move(listening), options, std::move(handlers)));
}

DirectDoor::DirectDoor(Loop& loop, const std::string& endpoint, Fd listening, Options options,
                       Handlers handlers)
    : loop_(loop),
      endpoint_path_(endpoint.substr(kScheme.size())),
      path_(direct_path(endpoint)),
      listening_(std::move(listening)),
      options_(options),
      handlers_(std::move(handlers)),
      watch_(std::make_unique<FdWatch>(loop_, listening_.get(), [this] { accept_some(); })),
      again_(loop_, [this] { watch_->want_read(true); }),
      patience_(loop_, [this] { look_for_silent(); }) {
  ::lstat(path_.c_str(), &made_);
}

DirectDoor::~DirectDoor() {
  watch_.reset();
  const TimePoint now = std::chrono::steady_clock::now();
  for (const auto& [number, connection] : connections_) connection.stream->write_until(now);
  for (const auto& [number, connection] : connections_) {
    connection.stream->write_until(now + kLinger);
  }
  if (has_its_name()) ::unlink(path_.c_str());
}

bool DirectDoor::has_its_name() const {
  struct stat now{};
  return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == made_.st_dev &&
         now.st_ino == made_.st_ino;
}

void DirectDoor::accept_some() {
  for (int n = 0; n < kAcceptedPerTurn; ++n) {
    Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket) {
      if (let_in_by_mode_of(endpoint_path_, socket.get())) welcome(std::move(socket));
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN) return;
    watch_->want_read(false);  // no descriptors, or no memory: it would be tried at once again
    return again_.start_after(kPause);
  }
}

void DirectDoor::welcome(Fd socket) {
  const std::uint64_t number = next_++;
  const PeerId peer = peer_of(options_.peer_tag, number);
  FrameStream::Handlers handlers;
  handlers.on_frame = [this, peer](std::string_view frame) { handlers_.on_message(peer, frame); };
  // Its own handlers are calling: it goes at the end of the turn.
  handlers.on_end = [this, peer, number](FrameStream::End how) {
    auto node = connections_.extract(number);
    loop_.post([doomed = std::shared_ptr<FrameStream>(std::move(node.mapped().stream))] {});
    if (how == FrameStream::End::kStranger) tell_stranger(peer);
  };
  auto stream = std::make_unique<FrameStream>(loop_, std::move(socket), options_.frame_bytes_max,
                                              buffers_, std::move(handlers));
  connections_.emplace(number, Connection{std::move(stream), loop_.now().steady});
  if (!patience_.running()) patience_.start_after(options_.greeting_patience);
}

void DirectDoor::tell_stranger(const PeerId& peer) {
  if (handlers_.on_stranger) handlers_.on_stranger(peer);
}

void DirectDoor::look_for_silent() {
  const TimePoint now = loop_.now().steady;
  std::vector<std::uint64_t> silent;
  std::optional<Duration> longest;  // of those who may be silent still
  for (const auto& [number, connection] : connections_) {
    if (connection.stream->greeted()) continue;
    const Duration waited = now - connection.since;
    if (waited >= options_.greeting_patience) {
      silent.push_back(number);
    } else {
      longest = std::max(longest.value_or(waited), waited);
    }
  }
  for (const std::uint64_t number : silent) {
    connections_.erase(number);
    tell_stranger(peer_of(options_.peer_tag, number));
  }
  if (longest) patience_.start_after(options_.greeting_patience - *longest);
}

Result<void> DirectDoor::send(const PeerId& peer, std::string_view frame) {
  const auto at = connections_.find(number_in(peer.value()));
  if (at == connections_.end()) return stale("the peer is gone");
  return at->second.stream->send(frame);
}

}  // namespace fanfare
