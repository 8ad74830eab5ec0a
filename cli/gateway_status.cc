#include "cli/gateway_status.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

namespace fanfare::cli {
namespace {

// "http://127.0.0.1:8080" → "127.0.0.1", "8080".
struct Place {
  std::string host, port;
  bool encrypted = false;
};

std::optional<Place> place_of(std::string_view url) {
  Place place{.host = {}, .port = {}, .encrypted = url.starts_with("https://")};
  const std::size_t scheme = url.find("://");
  const std::size_t colon = url.rfind(':');
  if (scheme == url.npos || colon <= scheme + 3) return std::nullopt;
  std::string_view host = url.substr(scheme + 3, colon - scheme - 3);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  place.host = host;
  place.port = url.substr(colon + 1);
  return place;
}

// A connection whose reads and writes, and the connecting itself, wait for a second at most.
class Connection {
 public:
  explicit Connection(const Place& place) {
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(place.host.c_str(), place.port.c_str(), &hints, &found) != 0) return;
    fd_ = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    error_ = ::connect(fd_, found->ai_addr, found->ai_addrlen) == 0 ? 0 : errno;
    ::freeaddrinfo(found);
  }
  ~Connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int error() const { return error_; }  // 0: it is open
  bool send(std::string_view text) const {
    return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == std::ssize(text);
  }
  std::string first_bytes() const {
    char bytes[64];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, MSG_WAITALL);
    return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : std::string{};
  }

 private:
  int fd_ = -1;
  int error_ = EINVAL;
};

// Empty if it answers.
std::string trouble_of(const Place& place) {
  const Connection connection(place);
  if (connection.error() != 0) return std::strerror(connection.error());
  if (place.encrypted) return {};
  const bool asked = connection.send("GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n");
  const std::string answer = asked ? connection.first_bytes() : "";
  if (answer.empty()) return "no answer within 1s";
  return answer.starts_with("HTTP/1.1 200 ") ? "" : "what answers there is no gateway";
}

}  // namespace

std::optional<GatewayStatus> gateway_status(const Address& address) {
  if (!address.broker.empty()) return std::nullopt;
  const auto installation = find_installation(address);
  if (!installation) return std::nullopt;
  std::ifstream file(installation->gateway_url_file());
  GatewayStatus status;
  if (!std::getline(file, status.url) || status.url.empty()) return std::nullopt;
  const auto place = place_of(status.url);
  status.trouble = place ? trouble_of(*place) : "its address cannot be read";
  status.up = status.trouble.empty();
  return status;
}

}  // namespace fanfare::cli
