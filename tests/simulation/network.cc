#include "tests/simulation/network.h"

#include <algorithm>
#include <utility>

namespace fanfare::simulation {

using namespace std::chrono_literals;

struct ClientSocket::Connection {
  std::string peer;
  ClientSocket* client = nullptr;
  ServerSocket* server = nullptr;
  bool broken = false;
  TimePoint server_notices;  // once broken: sends before it vanish
  TimePoint last_up, last_down;
};

Duration Network::some_delay() {
  return 20us + random_.around(random_.chance(tempo.slow) ? tempo.slow_delay : tempo.delay);
}

// Everything under way is lost: the steps that would deliver it find the connection broken.
void Network::break_up(const std::shared_ptr<Connection>& connection) {
  if (std::exchange(connection->broken, true)) return;
  connection->server_notices = schedule_.steady() + random_.around(20ms);
  ClientSocket* client = connection->client;
  if (!client || client->connection_ != connection) return;
  client->connection_.reset();
  if (client->handlers_.on_broken) client->handlers_.on_broken();
  schedule_.after(random_.around(5ms), client->life_, [client] {
    if (std::exchange(client->connected_, false)) client->handlers_.on_disconnected();
    client->try_to_connect();
  });
}

// ---- server ----

ServerSocket::ServerSocket(Network& network, Handlers handlers)
    : network_(network), handlers_(std::move(handlers)) {
  network_.listener_ = this;
}

ServerSocket::~ServerSocket() {
  *life_ = false;
  if (network_.listener_ == this) network_.listener_ = nullptr;
  auto connections = network_.connections_;
  for (auto& [peer, connection] : connections) {
    if (connection->server != this) continue;
    network_.break_up(connection);
    connection->server = nullptr;
    network_.connections_.erase(peer);
  }
}

void ServerSocket::send(const std::string& peer, std::string frame) {
  const auto at = network_.connections_.find(peer);
  const TimePoint now = network_.schedule_.steady();
  const bool gone = at == network_.connections_.end() || at->second->server != this ||
                    (at->second->broken && now >= at->second->server_notices);
  if (gone) {
    if (at != network_.connections_.end() && at->second->server == this) {
      network_.connections_.erase(at);
    }
    return network_.schedule_.after(0ms, life_, [this, peer] { handlers_.on_peer_gone(peer); });
  }
  const auto connection = at->second;
  if (connection->broken) return;
  connection->last_down = std::max(connection->last_down, now + network_.some_delay());
  network_.schedule_.at(connection->last_down, [connection, frame = std::move(frame)] {
    ClientSocket* client = connection->client;
    if (!connection->broken && client) client->handlers_.on_frame(frame);
  });
}

void ServerSocket::pause() {
  paused_ = true;
}

void ServerSocket::resume() {
  paused_ = false;
  const Life life = life_;  // a handler may end this process
  for (auto& [peer, frame] : std::exchange(backlog_, {})) {
    if (*life) handlers_.on_frame(peer, frame);
  }
}

// ---- client ----

ClientSocket::ClientSocket(Network& network, std::string name, Handlers handlers)
    : network_(network), name_(std::move(name)), handlers_(std::move(handlers)) {
  network_.schedule_.after(network_.random_.around(1ms), life_, [this] { try_to_connect(); });
}

ClientSocket::~ClientSocket() {
  *life_ = false;
  if (!connection_) return;
  // The kernel goes on carrying what was sent for a moment, as it happens.
  const auto connection = std::exchange(connection_, nullptr);
  connection->client = nullptr;
  Network& network = network_;
  network.schedule_.after(network.random_.chance(0.5) ? 0ms : network.random_.around(2ms),
                          [&network, connection] { network.break_up(connection); });
}

void ClientSocket::try_to_connect() {
  if (connection_) return;
  const TimePoint now = network_.schedule_.steady();
  const bool possible = now >= cut_off_until_ && network_.listener_ && !network_.listener_->paused_;
  if (!possible) {
    return network_.schedule_.after(5ms + network_.random_.around(20ms), life_,
                                    [this] { try_to_connect(); });
  }
  establish();
}

void ClientSocket::establish() {
  connection_ = std::make_shared<Connection>();
  connection_->peer = "peer-" + std::to_string(network_.next_peer_++) + "-" + name_;
  connection_->client = this;
  connection_->server = network_.listener_;
  peer_ = connection_->peer;
  network_.connections_[peer_] = connection_;
  network_.schedule_.after(network_.some_delay(), life_, [this, connection = connection_] {
    if (connection->broken) return;
    connected_ = true;
    handlers_.on_connected();
  });
}

void ClientSocket::send(std::string frame) {
  if (!connection_ || !connected_) return;
  const auto connection = connection_;
  connection->last_up =
      std::max(connection->last_up, network_.schedule_.steady() + network_.some_delay());
  network_.schedule_.at(connection->last_up, [connection, frame = std::move(frame)]() mutable {
    ServerSocket* server = connection->server;
    if (connection->broken || !server) return;
    if (server->paused_) {
      server->backlog_.emplace_back(connection->peer, std::move(frame));
    } else {
      server->handlers_.on_frame(connection->peer, frame);
    }
  });
}

void ClientSocket::break_connection() {
  if (connection_) network_.break_up(connection_);
}

void ClientSocket::cut_off_until(TimePoint when) {
  cut_off_until_ = when;
  break_connection();
}

}  // namespace fanfare::simulation
