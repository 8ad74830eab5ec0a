#include "tests/integration/raw_connection.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace fanfare::test {

RawConnection::RawConnection(const std::string& url)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return;
  ::close(fd_);
  fd_ = -1;
}

RawConnection::~RawConnection() {
  if (fd_ >= 0) ::close(fd_);
}

void RawConnection::reset_at_end() const {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

bool RawConnection::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string RawConnection::rest(Duration at_most) const {
  const auto until = std::chrono::steady_clock::now() + at_most;
  std::string all;
  for (;;) {
    const std::string more = some(until - std::chrono::steady_clock::now());
    if (more.empty()) return all;
    all += more;
  }
}

std::string RawConnection::some(Duration at_most) const {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(at_most).count();
  pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
  if (ms <= 0 || ::poll(&ready, 1, static_cast<int>(ms)) <= 0) return {};
  std::string bytes(65536, 0);
  const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
  bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return bytes;
}

}  // namespace fanfare::test
