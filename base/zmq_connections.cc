#include "base/zmq_connections.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace fanfare {

std::string_view to_string(ConnectionRefusal refusal) {
  switch (refusal) {
    case ConnectionRefusal::kUnknownKey:
      return "unknown_key";
    case ConnectionRefusal::kWrongKey:
      return "wrong_key";
    case ConnectionRefusal::kNoKey:
      return "no_key";
    case ConnectionRefusal::kMalformed:
      return "malformed";
    case ConnectionRefusal::kTimeout:
      return "timeout";
    case ConnectionRefusal::kLeft:
      return "left";
    case ConnectionRefusal::kFull:
      return "full";
    case ConnectionRefusal::kSilent:
      return "silent";
  }
  return "unknown";
}

std::string host_of(std::string_view address) {
  if (address.starts_with('[')) {
    address = address.substr(1, address.find(']') - 1);
  } else if (std::ranges::count(address, ':') == 1) {
    address = address.substr(0, address.find(':'));
  }
  const std::string text(address.substr(0, address.find('%')));  // without a scope
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) != 1) return text;
  std::array<char, INET6_ADDRSTRLEN> host{};
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    inet_ntop(AF_INET, &v6.s6_addr[12], host.data(), host.size());
    return host.data();
  }
  std::fill(std::begin(v6.s6_addr) + 8, std::end(v6.s6_addr), 0);
  inet_ntop(AF_INET6, &v6, host.data(), host.size());
  return std::string(host.data()) + "/64";
}

bool ConnectionTable::on_accepted(int fd, std::string address, TimePoint now) {
  on_closed(fd);  // an end that was not told
  Host& host = hosts_[host_of(address)];
  const bool full = connections_.size() >= limits_.open_max ||
                    host.unproven >= limits_.unproven_per_host_max ||
                    unproven_count_ >= limits_.unproven_max;
  ++host.open;
  ++host.unproven;
  ++unproven_count_;
  Connection& connection = connections_[fd];
  connection.address = std::move(address);
  connection.accepted_at = now;
  if (full) connection.closed_as = ConnectionRefusal::kFull;
  return !full;
}

// One whose connection has ended already was counted with that.
void ConnectionTable::on_key_refused(std::string_view address) {
  const auto host = hosts_.find(host_of(address));
  if (host != hosts_.end()) ++host->second.keys_refused;
}

void ConnectionTable::prove(Connection& connection) {
  if (std::exchange(connection.proven, true)) return;
  --hosts_[host_of(connection.address)].unproven;
  --unproven_count_;
}

// Where all who are unproven have succeeded there is no doubt who has.
void ConnectionTable::on_handshake_succeeded() {
  if (++succeeded_ < unproven_count_) return;
  for (auto& [fd, connection] : connections_) prove(connection);
  succeeded_ = 0;
}

bool ConnectionTable::on_message(int fd, std::string_view user, std::string_view routing_id) {
  const auto at = connections_.find(fd);
  if (at == connections_.end()) return true;  // gone already: its last words
  Connection& connection = at->second;
  if (!connection.proven) {
    prove(connection);
    if (succeeded_ > 0) --succeeded_;
  }
  if (connection.user == user && connection.routing_id == routing_id) return true;
  const bool mixed_up = !connection.user.empty() && connection.user != user;
  connection.user = user;  // so that he can be cut off
  const auto [id, is_new] = by_routing_id_.try_emplace(std::string(routing_id), fd);
  if (!is_new && id->second != fd) {
    const Connection* const other = find(id->second);
    if (other && other->user != user) return false;
    id->second = fd;
  }
  connection.routing_id = routing_id;
  if (of_user(user).size() > limits_.per_user_max) {
    connection.closed_as = ConnectionRefusal::kFull;
    return false;
  }
  return !mixed_up;
}

bool ConnectionTable::owns(std::string_view user, std::string_view routing_id) const {
  const auto id = by_routing_id_.find(std::string(routing_id));
  const Connection* const connection = id == by_routing_id_.end() ? nullptr : find(id->second);
  return connection && connection->user == user;
}

std::optional<ConnectionTable::Refused> ConnectionTable::on_closed(int fd) {
  const auto failed = std::exchange(failed_, std::nullopt);
  const auto node = connections_.extract(fd);
  if (node.empty()) return std::nullopt;
  Connection connection = node.mapped();
  if (const auto id = by_routing_id_.find(connection.routing_id);
      id != by_routing_id_.end() && id->second == fd) {
    by_routing_id_.erase(id);
  }
  const std::size_t were_unproven = unproven_count_;
  const bool came_in = connection.proven;
  prove(connection);
  const auto host = hosts_.find(host_of(connection.address));
  const bool key_refused = host->second.keys_refused > 0;
  const auto refused = [&]() -> std::optional<ConnectionRefusal> {
    if (connection.closed_as) return connection.closed_as;
    if (came_in) return std::nullopt;
    if (failed) return failed;
    if (key_refused) {
      --host->second.keys_refused;
      return ConnectionRefusal::kUnknownKey;
    }
    if (succeeded_ >= were_unproven) {
      --succeeded_;
      return std::nullopt;
    }
    return ConnectionRefusal::kMalformed;
  }();
  if (--host->second.open == 0) hosts_.erase(host);
  if (!refused) return std::nullopt;
  return Refused{*refused, connection.address};
}

const ConnectionTable::Connection* ConnectionTable::find(int fd) const {
  const auto at = connections_.find(fd);
  return at == connections_.end() ? nullptr : &at->second;
}

std::vector<int> ConnectionTable::of_user(std::string_view user) const {
  std::vector<int> fds;
  for (const auto& [fd, connection] : connections_) {
    if (connection.user == user) fds.push_back(fd);
  }
  return fds;
}

std::vector<int> ConnectionTable::take_silent(TimePoint now) {
  std::vector<int> fds;
  if (limits_.silent_max == Duration{0}) return fds;
  for (auto& [fd, connection] : connections_) {
    if (!connection.user.empty() || connection.closed_as) continue;
    if (now - connection.accepted_at < limits_.silent_max) continue;
    connection.closed_as = ConnectionRefusal::kSilent;
    fds.push_back(fd);
  }
  return fds;
}

}  // namespace fanfare
