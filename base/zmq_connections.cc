#include "base/zmq_connections.h"

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
  }
  return "unknown";
}

std::string host_of(std::string_view address) {
  address = address.substr(0, address.rfind(':'));
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  return std::string(address);
}

std::size_t ConnectionTable::unproven_of(const std::string& host) const {
  const auto at = unproven_.find(host);
  return at == unproven_.end() ? 0 : at->second;
}

bool ConnectionTable::on_accepted(int fd, std::string address) {
  on_closed(fd);  // an end that was not told
  const std::string host = host_of(address);
  const bool full =
      connections_.size() >= limits_.open_max || unproven_of(host) >= limits_.unproven_per_host_max;
  ++unproven_[host];
  ++unproven_count_;
  connections_[fd] = {std::move(address), {}, full, false};
  return !full;
}

void ConnectionTable::prove(Connection& connection) {
  if (std::exchange(connection.proven, true)) return;
  const auto at = unproven_.find(host_of(connection.address));
  if (at != unproven_.end() && --at->second == 0) unproven_.erase(at);
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
  if (connection.refused_as_full) return Refused{ConnectionRefusal::kFull, connection.address};
  if (came_in) return std::nullopt;
  if (failed) return Refused{*failed, connection.address};
  if (const auto refused = keys_refused_.find(host_of(connection.address));
      refused != keys_refused_.end()) {
    if (--refused->second == 0) keys_refused_.erase(refused);
    return Refused{ConnectionRefusal::kUnknownKey, connection.address};
  }
  if (succeeded_ >= were_unproven) {
    --succeeded_;
    return std::nullopt;
  }
  return Refused{ConnectionRefusal::kMalformed, connection.address};
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

}  // namespace fanfare
