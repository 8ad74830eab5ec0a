#include "base/unix_socket.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace fanfare {
namespace {

constexpr int kBacklog = 128;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return reject(fmt::format("{} is longer than the {} bytes that a socket's name may have", path,
                              sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

Fd new_socket(UnixKind kind) {
  const int type = kind == UnixKind::kStream ? SOCK_STREAM : SOCK_SEQPACKET;
  return Fd(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// 0 or the error.
int try_to_connect(int socket, const sockaddr_un& address) {
  const auto* const to = reinterpret_cast<const sockaddr*>(&address);
  while (::connect(socket, to, sizeof address) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

bool is_of_group(int socket, const ucred& peer, gid_t group) {
  if (peer.gid == group) return true;
  std::array<gid_t, 1024> groups{};
  socklen_t size = sizeof groups;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) return false;
  const auto end = groups.begin() + static_cast<std::ptrdiff_t>(size / sizeof(gid_t));
  return std::find(groups.begin(), end, group) != end;
}

}  // namespace

Result<Fd> listen_unix(const std::string& path, UnixKind kind) {
  const auto address = address_of(path);
  if (!address) return address.error();
  Fd socket = new_socket(kind);
  if (!socket) return fatal(fmt::format("making a socket: {}", std::strerror(errno)));
  const auto* const at = reinterpret_cast<const sockaddr*>(&*address);
  if (::bind(socket.get(), at, sizeof *address) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    return fatal(fmt::format("listening at {}: {}", path, std::strerror(errno)));
  }
  return socket;
}

Result<Fd> connect_unix(const std::string& path, UnixKind kind) {
  const auto address = address_of(path);
  if (!address) return address.error();
  Fd socket = new_socket(kind);
  if (!socket) return retry_later(fmt::format("making a socket: {}", std::strerror(errno)));
  const int error = try_to_connect(socket.get(), *address);
  if (error == 0) return socket;
  const std::string what = fmt::format("connecting to {}: {}", path, std::strerror(error));
  return error == EAGAIN ? retry_later(what) : reconnect(what);
}

bool somebody_listens(const std::string& path, UnixKind kind) {
  const auto address = address_of(path);
  const Fd probe = new_socket(kind);
  if (!address || !probe) return true;
  const int error = try_to_connect(probe.get(), *address);
  return error != ECONNREFUSED && error != ENOENT;
}

bool let_in_by_mode_of(const std::string& beside, int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  struct stat file{};
  if (::stat(beside.c_str(), &file) != 0) return false;
  if (peer.uid == file.st_uid) return (file.st_mode & S_IWUSR) != 0;
  if (is_of_group(socket, peer, file.st_gid)) return (file.st_mode & S_IWGRP) != 0;
  return (file.st_mode & S_IWOTH) != 0;
}

bool made_by_owner_of(const std::string& beside, int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  if (peer.uid == 0 || peer.uid == ::geteuid()) return true;
  struct stat file{};
  return ::stat(beside.c_str(), &file) == 0 && peer.uid == file.st_uid;
}

}  // namespace fanfare
