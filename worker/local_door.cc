#include "worker/local_door.h"

#include <dirent.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/unix_socket.h"

namespace fanfare::worker {
namespace {

constexpr int kPerTurn = 32;  // connections, and messages of one, so that nobody keeps the others
constexpr int kNamesakesMax = 10;
constexpr mode_t kMayConnect = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;

Error system_error(const std::string& doing) {
  return fatal(fmt::format("{}: {}", doing, std::strerror(errno)));
}

// What workers that were killed have left.
void remove_left_over(const protocol::LocalPlace& place) {
  DIR* const folder = ::opendir(place.folder.c_str());
  if (!folder) return;
  std::vector<std::string> left;
  while (const dirent* const entry = ::readdir(folder)) {
    const std::string path = place.folder + "/" + entry->d_name;
    if (place.has(entry->d_name) && !somebody_listens(path, UnixKind::kSeqpacket))
      left.push_back(path);
  }
  ::closedir(folder);
  for (const auto& path : left) ::unlink(path.c_str());
}

// Whoever can write there could put something else in a socket's place.
Result<void> check_folder(const std::string& path, uid_t of_broker) {
  struct stat folder{};
  if (::lstat(path.c_str(), &folder) != 0) return system_error("looking at " + path);
  const bool trusted =
      folder.st_uid == 0 || folder.st_uid == ::geteuid() || folder.st_uid == of_broker;
  if (S_ISDIR(folder.st_mode) && trusted && (folder.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return reject(fmt::format(
      "{} is no folder that only root, the broker's user and this worker's can write to", path));
}

// Where nobody listens: workers in containers that share the folder may have the same number.
Result<std::string> free_path(const protocol::LocalPlace& place) {
  std::string path = fmt::format("{}/{}{}", place.folder, place.prefix, ::getpid());
  for (int n = 0; n < kNamesakesMax; ++n, path += '0') {
    if (!somebody_listens(path, UnixKind::kSeqpacket)) return path;
  }
  return fatal(fmt::format("others listen at {} already", path));
}

}  // namespace

LocalDoor::LocalDoor(Loop& loop, std::string broker_path, Handlers handlers)
    : loop_(loop),
      broker_path_(std::move(broker_path)),
      handlers_(std::move(handlers)),
      buffer_(protocol::kLocalPacketMax, '\0'),
      hook_(loop.before_wait([this] { close_doomed(); })) {}

LocalDoor::~LocalDoor() {
  stop_listening();
  for (auto& [id, connection] : connections_) turn_away(*connection);
}

Result<std::unique_ptr<LocalDoor>> LocalDoor::open(Loop& loop, const std::string& broker_endpoint,
                                                   Handlers handlers) {
  const auto place = protocol::local_place(broker_endpoint);
  if (!place.any()) return reject("the broker is not reached by ipc://");
  std::unique_ptr<LocalDoor> door(new LocalDoor(
      loop, broker_endpoint.substr(std::string_view("ipc://").size()), std::move(handlers)));
  if (auto listening = door->listen(place); !listening) return listening.error();
  return door;
}

// Under another name until it listens: what does not is taken for left over.
Result<void> LocalDoor::listen(const protocol::LocalPlace& place) {
  struct stat broker{};
  if (::stat(broker_path_.c_str(), &broker) != 0) return system_error("looking at " + broker_path_);
  // Who may pass through the broker's folder may pass through this one; the socket decides.
  if (::mkdir(place.folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return system_error("making " + place.folder);
  }
  if (auto fine = check_folder(place.folder, broker.st_uid); !fine) return fine;
  remove_left_over(place);
  const auto path = free_path(place);
  if (!path) return path.error();
  const std::string hidden =
      fmt::format("{}/.{}", place.folder, std::string_view(*path).substr(place.folder.size() + 1));
  ::unlink(hidden.c_str());
  const mode_t before = ::umask(0177);
  auto listening = listen_unix(hidden, UnixKind::kSeqpacket);
  ::umask(before);
  if (!listening) return listening.error();
  listening_ = *std::move(listening);
  path_ = hidden;
  if (::lstat(hidden.c_str(), &made_) != 0) return system_error("looking at " + hidden);
  if (auto taken = take_rights(); !taken) return taken;
  if (::rename(hidden.c_str(), path->c_str()) != 0) return system_error("naming " + *path);
  path_ = *path;
  watch_ = std::make_unique<FdWatch>(loop_, listening_.get(), [this] { accept_some(); });
  return {};
}

Result<void> LocalDoor::take_rights() {
  struct stat broker{};
  if (::stat(broker_path_.c_str(), &broker) != 0) return system_error("looking at " + broker_path_);
  // Its group's members may connect to the broker; if that group cannot be given, nobody's may.
  const bool same_group = ::lchown(path_.c_str(), static_cast<uid_t>(-1), broker.st_gid) == 0;
  const mode_t mode = broker.st_mode & kMayConnect & ~(same_group ? mode_t{0} : mode_t{S_IRWXG});
  if (::chmod(path_.c_str(), mode | S_IRUSR | S_IWUSR) != 0) {
    return system_error("setting the mode of " + path_);
  }
  return {};
}

void LocalDoor::renew_rights() {
  if (path_.empty()) return;
  // If the broker's word is not to be had: nobody but its own user.
  if (!take_rights()) ::chmod(path_.c_str(), S_IRUSR | S_IWUSR);
  for (const auto& [id, connection] : connections_) {
    if (!let_in_by_mode_of(path_, connection->socket.get())) doomed_.push_back(id);
  }
}

void LocalDoor::stop_listening() {
  watch_.reset();
  listening_.reset();
  struct stat now{};
  const bool own = !path_.empty() && ::lstat(path_.c_str(), &now) == 0 &&
                   now.st_dev == made_.st_dev && now.st_ino == made_.st_ino;
  if (own) ::unlink(path_.c_str());
  path_.clear();
}

// The worker ends. What was sent and not read has not begun: its callers ask the broker.
void LocalDoor::turn_away(Connection& connection) {
  ::shutdown(connection.socket.get(), SHUT_RD);
  while (!connection.unsent.empty()) {
    const auto& [request, frame] = connection.unsent.front();
    if (!send_now(connection, request, frame)) return;
    connection.unsent.pop_front();
  }
  for (std::size_t n = 0; n < kCallsMax; ++n) {
    const auto packet = protocol::receive_local(connection.socket.get(), buffer_);
    if (!packet) return;
    if (!send_now(connection, protocol::request_of(packet->frame), {})) return;
  }
}

void LocalDoor::accept_some() {
  for (int n = 0; n < kPerTurn; ++n) {
    Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    // The mode says it already; but a socket's file can be reached by other ways than its folder.
    if (connections_.size() >= kConnectionsMax || !let_in_by_mode_of(path_, socket.get())) {
      ++counters_.refused;
      continue;
    }
    ++counters_.connected;
    const CallerId id{next_++};
    auto connection = std::make_unique<Connection>();
    connection->watch = std::make_unique<FdWatch>(
        loop_, socket.get(), [this, id] { read_some(id); }, [this, id] { write_some(id); });
    connection->socket = std::move(socket);
    Connection& here = *connections_.emplace(id, std::move(connection)).first->second;
    send(id, here, 0, protocol::encode(protocol::Local{}));
  }
}

void LocalDoor::read_some(CallerId id) {
  for (int n = 0; n < kPerTurn; ++n) {
    const auto at = connections_.find(id);
    if (at == connections_.end()) return;
    Connection& connection = *at->second;
    const auto packet = protocol::receive_local(connection.socket.get(), buffer_);
    if (packet) {
      take(id, connection, packet->frame);
      continue;
    }
    if (packet.error().kind == ErrorKind::kRetryLater) return;
    if (packet.error().kind == ErrorKind::kReject) {
      ++counters_.malformed;
      send(id, connection, 0,
           protocol::encode(
               protocol::Refused{0, protocol::Refusal::kMalformed, packet.error().message}));
    }
    return close(id);
  }
}

void LocalDoor::take(CallerId id, Connection& connection, std::string_view frame) {
  auto message = protocol::decode(frame);
  auto* const invoke = message ? std::get_if<protocol::Invoke>(&*message) : nullptr;
  if (!invoke) {
    ++counters_.malformed;
    const protocol::Refused refused =
        message ? protocol::Refused{protocol::request_of(frame), protocol::Refusal::kMalformed,
                                    "the local lane takes Invoke, and nothing else"}
                : protocol::refusal_of(frame, message.error());
    send(id, connection, 0, protocol::encode(refused));
    return close(id);
  }
  const std::uint64_t request = invoke->request;
  const bool fits = connection.calls.size() < kCallsMax &&
                    connection.bytes + frame.size() <= kBytesMax &&
                    !connection.calls.contains(request);
  if (!fits) {
    ++counters_.full;
    return send(id, connection, request, {});
  }
  connection.calls.emplace(request, frame.size());
  connection.bytes += frame.size();
  handlers_.on_invoke(id, std::move(*invoke));
}

void LocalDoor::answer(CallerId caller, std::uint64_t request, std::string frame) {
  const auto at = connections_.find(caller);
  if (at == connections_.end()) return;
  Connection& connection = *at->second;
  const auto call = connection.calls.find(request);
  if (call == connection.calls.end()) return;
  connection.bytes -= call->second;
  connection.calls.erase(call);
  send(caller, connection, request, std::move(frame));
}

Result<void> LocalDoor::send_now(const Connection& connection, std::uint64_t request,
                                 std::string_view frame) {
  return frame.empty() ? protocol::send_not_here(connection.socket.get(), request)
                       : protocol::send_local(connection.socket.get(), frame);
}

// A caller that does not read is not read either, and in the end it is let go. At the turn's end:
// whoever sends may be in the midst of a decision.
void LocalDoor::send(CallerId id, Connection& connection, std::uint64_t request,
                     std::string frame) {
  if (connection.unsent.empty()) {
    const auto sent = send_now(connection, request, frame);
    if (sent || sent.error().kind != ErrorKind::kRetryLater) return;  // its end is seen by reading
  }
  connection.unsent_bytes += frame.size();
  connection.unsent.emplace_back(request, std::move(frame));
  connection.watch->want_write(true);
  connection.watch->want_read(false);
  if (connection.unsent_bytes > kBytesMax) doomed_.push_back(id);
}

void LocalDoor::close_doomed() {
  for (const CallerId id : std::exchange(doomed_, {})) {
    ++counters_.refused;
    close(id);
  }
}

void LocalDoor::write_some(CallerId id) {
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  Connection& connection = *at->second;
  while (!connection.unsent.empty()) {
    const auto& [request, frame] = connection.unsent.front();
    const auto sent = send_now(connection, request, frame);
    if (!sent && sent.error().kind == ErrorKind::kRetryLater) return;
    connection.unsent_bytes -= frame.size();
    connection.unsent.pop_front();
  }
  connection.watch->want_write(false);
  connection.watch->want_read(true);
}

// Its own watch may be calling: it goes at the end of the turn.
void LocalDoor::close(CallerId id) {
  const auto at = connections_.find(id);
  if (at == connections_.end()) return;
  std::shared_ptr<Connection> doomed = std::move(at->second);
  connections_.erase(at);
  doomed->watch.reset();
  loop_.post([doomed] {});
  handlers_.on_gone(id);
}

}  // namespace fanfare::worker
