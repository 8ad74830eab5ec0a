#include "tests/perf/calibration_link.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace fanfare::calibration {

void give_up(std::string_view what) {
  std::fprintf(stderr, "calibration: %.*s: %s\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::_Exit(1);
}

Link::Link(int socket) : socket_(socket) {
  if (socket >= 0 && fcntl(socket, F_SETFL, O_NONBLOCK) != 0) give_up("fcntl");
}

bool Link::read() {
  char buffer[64 * 1024];
  const ssize_t got = ::read(socket_, buffer, sizeof buffer);
  if (got > 0) in.append(buffer, static_cast<std::size_t>(got));
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

void Link::write() {
  if (out.empty()) return;
  const ssize_t sent = ::send(socket_, out.data(), out.size(), MSG_NOSIGNAL);
  // Whoever reads no more has its end noticed by read().
  if (sent > 0) out.erase(0, static_cast<std::size_t>(sent));
}

}  // namespace fanfare::calibration
