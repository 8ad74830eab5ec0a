#include "worker/local_door.h"

#include <dirent.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

namespace fanfare::worker {
namespace {

constexpr int kPerTurn = 32;  // connections, and messages of one, so that nobody keeps the others
constexpr mode_t kMayConnect = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH;

Error system_error(const std::string& doing) {
  return fatal(fmt::format("{}: {}", doing, std::strerror(errno)));
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return reject(fmt::format("{} is longer than the {} bytes that a socket's name may have", path,
                              sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Fd new_socket() {
  return Fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// What workers that were killed have left: nobody listens there.
void remove_left_over(const protocol::LocalPlace& place) {
  DIR* const folder = ::opendir(place.folder.c_str());
  if (!folder) return;
  std::vector<std::string> left;
  while (const dirent* const entry = ::readdir(folder)) {
    const std::string path = place.folder + "/" + entry->d_name;
    if (!std::string_view(entry->d_name).starts_with(place.prefix)) continue;
    const auto address = address_of(path);
    const Fd probe = new_socket();
    if (!address || !probe) continue;
    const auto* const to = reinterpret_cast<const sockaddr*>(&*address);
    if (::connect(probe.get(), to, sizeof *address) != 0 && errno == ECONNREFUSED) {
      left.push_back(path);
    }
  }
  ::closedir(folder);
  for (const auto& path : left) ::unlink(path.c_str());
}

}  // namespace

LocalDoor::LocalDoor(Loop& loop, Handlers handlers)
    : loop_(loop),
      handlers_(std::move(handlers)),
      buffer_(protocol::kLocalPacketMax, '\0'),
      hook_(loop.before_wait([this] { close_doomed(); })) {}

LocalDoor::~LocalDoor() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<std::unique_ptr<LocalDoor>> LocalDoor::open(Loop& loop, const std::string& broker_endpoint,
                                                   Handlers handlers) {
  const auto place = protocol::local_place(broker_endpoint);
  if (!place.any()) return reject("the broker is not reached by ipc://");
  const std::string of_broker = broker_endpoint.substr(std::string_view("ipc://").size());
  struct stat broker{};
  if (::stat(of_broker.c_str(), &broker) != 0) return system_error("looking at " + of_broker);
  // Who may pass through the broker's folder may pass through this one; the socket decides.
  if (::mkdir(place.folder.c_str(), 0755) != 0 && errno != EEXIST) {
    return system_error("making " + place.folder);
  }
  remove_left_over(place);
  std::unique_ptr<LocalDoor> door(new LocalDoor(loop, std::move(handlers)));
  const std::string path = fmt::format("{}/{}{}", place.folder, place.prefix, ::getpid());
  const auto address = address_of(path);
  if (!address) return address.error();
  door->listening_ = new_socket();
  if (!door->listening_) return system_error("making a socket");
  ::unlink(path.c_str());  // of a process that had this number before
  const mode_t before = ::umask(0177);
  const int bound =
      ::bind(door->listening_.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address);
  ::umask(before);
  if (bound != 0) return system_error("binding " + path);
  door->path_ = path;
  // Its group's members may connect to the broker; if that group cannot be given, nobody's may.
  const bool same_group = ::chown(path.c_str(), static_cast<uid_t>(-1), broker.st_gid) == 0;
  door->group_ = broker.st_gid;
  door->mode_ = broker.st_mode & kMayConnect & ~(same_group ? mode_t{0} : mode_t{S_IRWXG});
  if (::chmod(path.c_str(), door->mode_ | S_IRUSR | S_IWUSR) != 0) {
    return system_error("setting the mode of " + path);
  }
  if (::listen(door->listening_.get(), 128) != 0) return system_error("listening at " + path);
  LocalDoor* const self = door.get();
  door->watch_ =
      std::make_unique<FdWatch>(loop, door->listening_.get(), [self] { self->accept_some(); });
  return door;
}

void LocalDoor::accept_some() {
  for (int n = 0; n < kPerTurn; ++n) {
    Fd socket(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!socket) return;
    if (connections_.size() >= kConnectionsMax || !may_call(socket.get())) {
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

// The mode says it already; but a socket's file can be reached by other ways than its folder.
bool LocalDoor::may_call(int socket) const {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid() || (mode_ & S_IWOTH) != 0) return true;
  if ((mode_ & S_IWGRP) == 0) return false;
  if (peer.gid == group_) return true;
  std::array<gid_t, 1024> groups{};
  size = sizeof groups;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return false;
  const auto end = groups.begin() + static_cast<std::ptrdiff_t>(size / sizeof(gid_t));
  return std::find(groups.begin(), end, group_) != end;
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
