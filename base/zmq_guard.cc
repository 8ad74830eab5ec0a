#include "base/zmq_guard.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

namespace fanfare {
namespace {

constexpr int kGuardEvents = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                             ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                             ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;

constexpr Duration kSweepEvery = std::chrono::seconds{1};

// "10.0.0.2:5123" or "[fe80::1]:5123"; empty if `fd` is no TCP connection (any more).
std::string peer_address(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return fmt::format("{}:{}", text.data(), ntohs(v4->sin_port));
  }
  if (storage.ss_family != AF_INET6) return {};
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
  inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
  return fmt::format("[{}]:{}", text.data(), ntohs(v6->sin6_port));
}

ConnectionRefusal refusal_of_protocol(std::uint32_t error) {
  switch (error) {
    case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
      return ConnectionRefusal::kNoKey;
    case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
      return ConnectionRefusal::kWrongKey;
    default:
      return ConnectionRefusal::kMalformed;
  }
}

}  // namespace

ZmqGuard::ZmqGuard(Loop& loop, void* context, void* socket, ConnectionLimits limits,
                   OnRefused on_refused)
    : loop_(loop),
      table_(limits),
      on_refused_(std::move(on_refused)),
      monitor_(loop, context, socket, kGuardEvents,
               [this](const ZmqMonitor::Event& event) { on_event(event); }),
      sweep_(loop, [this] { close_silent(); }) {
  if (limits.silent_max == Duration{0}) return;
  sweep_.start_every(std::min<Duration>(limits.silent_max / 2, kSweepEvery));
}

void ZmqGuard::on_event(const ZmqMonitor::Event& event) {
  const int fd = static_cast<int>(event.value);
  switch (event.number) {
    case ZMQ_EVENT_ACCEPTED:
      // Gone already, it has no address, and its end comes next.
      if (!table_.on_accepted(fd, peer_address(fd), loop_.now().steady)) close(fd);
      return;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return table_.on_handshake_succeeded();
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      return table_.on_handshake_failed(refusal_of_protocol(event.value));
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
      return table_.on_handshake_failed(event.value == EAGAIN ? ConnectionRefusal::kTimeout
                                                              : ConnectionRefusal::kLeft);
    default:
      break;
  }
  if (const auto refused = table_.on_closed(fd); refused && on_refused_) on_refused_(*refused);
}

void ZmqGuard::close(int fd) {
  const ConnectionTable::Connection* connection = table_.find(fd);
  if (!connection || connection->address.empty()) return;
  if (peer_address(fd) == connection->address) shutdown(fd, SHUT_RDWR);
}

// What has become of connections is told by another way than what came by them, so that is looked
// at first where there is a doubt.
bool ZmqGuard::on_message(int fd, std::string_view user, std::string_view routing_id) {
  const ConnectionTable::Connection* const known = table_.find(fd);
  if (!known || known->user != user || known->routing_id != routing_id) monitor_.read_events();
  if (table_.on_message(fd, user, routing_id)) return true;
  close(fd);
  return false;
}

void ZmqGuard::on_key_refused(std::string_view address) {
  monitor_.read_events();  // so that the connection is known
  table_.on_key_refused(address);
}

void ZmqGuard::close_silent() {
  for (const int fd : table_.take_silent(loop_.now().steady)) close(fd);
}

bool ZmqGuard::owns(std::string_view user, std::string_view routing_id) {
  monitor_.read_events();
  return table_.owns(user, routing_id);
}

std::size_t ZmqGuard::cut_off(std::string_view user) {
  const auto theirs = table_.of_user(user);
  for (const int fd : theirs) close(fd);
  return theirs.size();
}

}  // namespace fanfare
