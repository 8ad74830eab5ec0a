#include "base/unix_message.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fanfare {
namespace {

constexpr std::size_t kFdsMax = 4;
constexpr int kContentSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;

Error unix_error(ErrorKind kind, const char* doing) {
  return {kind, std::string(doing) + ": " + std::strerror(errno)};
}

}  // namespace

Result<void> send_message(int socket, std::string_view bytes, std::span<const int> fds,
                          SendOptions options) {
  iovec part{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdsMax * sizeof(int))> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  const int flags = MSG_NOSIGNAL | (options.dont_wait ? MSG_DONTWAIT : 0);
  while (::sendmsg(socket, &message, flags) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) {
      return unix_error(ErrorKind::kRetryLater, "sending");
    }
    if (errno == EMSGSIZE) return unix_error(ErrorKind::kReject, "sending");
    return unix_error(ErrorKind::kReconnect, "sending");
  }
  return {};
}

Result<Received> receive_message(int socket, std::span<char> buffer, SendOptions options) {
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kFdsMax * sizeof(int))> control;
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const int flags = MSG_CMSG_CLOEXEC | (options.dont_wait ? MSG_DONTWAIT : 0);
  ssize_t size = 0;
  bool reset = false;
  while ((size = ::recvmsg(socket, &message, flags)) < 0) {
    if (errno == EINTR) continue;
    // Said once, and before what the peer had sent: it left something of ours unread. Its own words
    // are there still.
    if (errno == ECONNRESET && !std::exchange(reset, true)) continue;
    const bool nothing = errno == EAGAIN;
    return unix_error(nothing ? ErrorKind::kRetryLater : ErrorKind::kReconnect, "receiving");
  }
  Received received{.size = static_cast<std::size_t>(size), .fds = {}};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      received.fds.emplace_back(fd);
    }
  }
  if (size == 0) return reconnect("the peer has closed its end");
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) return reject("a message that is too large");
  return received;
}

Result<Fd> make_sealed_memfd(const char* name, std::span<const std::string_view> parts) {
  Fd memfd(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memfd) return unix_error(ErrorKind::kRetryLater, "making a memfd");
  for (std::string_view part : parts) {
    while (!part.empty()) {
      const ssize_t written = ::write(memfd.get(), part.data(), part.size());
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return unix_error(ErrorKind::kRetryLater, "filling a memfd");
      part.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  if (::fcntl(memfd.get(), F_ADD_SEALS, kContentSeals | F_SEAL_SEAL) != 0) {
    return unix_error(ErrorKind::kRetryLater, "sealing a memfd");
  }
  return memfd;
}

Result<std::string> read_sealed_memfd(int memfd, std::uint64_t size) {
  const int seals = ::fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || (seals & kContentSeals) != kContentSeals) {
    return reject("a descriptor that is no sealed memfd");
  }
  struct stat status{};
  if (::fstat(memfd, &status) != 0 || static_cast<std::uint64_t>(status.st_size) != size) {
    return reject("a memfd of another size than announced");
  }
  std::string bytes(size, '\0');
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got =
        ::pread(memfd, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return reject("a memfd that cannot be read");
    at += static_cast<std::size_t>(got);
  }
  return bytes;
}

}  // namespace fanfare
