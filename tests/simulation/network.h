// The ZeroMQ connections between a broker and its peers, with delay and breaking.
//
// One address, at which at most one broker listens at a time; clients connect to whoever listens.
// As over ipc and tcp, a connection keeps its order and loses nothing while it stands. When it
// breaks, everything under way in both directions is lost, neither end notices at once, and the
// client comes back under a new peer id. What a process sent before it died may still arrive.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/simulation/random.h"
#include "tests/simulation/schedule.h"

namespace fanfare::simulation {

class Network;
class ClientSocket;

// The broker's ROUTER.
class ServerSocket {
 public:
  struct Handlers {
    std::function<void(const std::string& peer, std::string_view frame)> on_frame;
    std::function<void(const std::string& peer)> on_peer_gone;  // a send found nobody there
  };
  ServerSocket(Network& network, Handlers handlers);
  ~ServerSocket();  // the process has ended: its connections break
  ServerSocket(const ServerSocket&) = delete;
  ServerSocket& operator=(const ServerSocket&) = delete;

  void send(const std::string& peer, std::string frame);
  // A stopped process: nothing is read and nobody can connect, but what arrives is kept.
  void pause();
  void resume();

 private:
  friend class Network;
  friend class ClientSocket;
  Network& network_;
  Handlers handlers_;
  const Life life_ = new_life();
  bool paused_ = false;
  std::vector<std::pair<std::string, std::string>> backlog_;
};

// A DEALER. Connects by itself, again and again.
class ClientSocket {
 public:
  struct Handlers {
    std::function<void()> on_connected;
    std::function<void()> on_disconnected;
    std::function<void(std::string_view frame)> on_frame;
    // The connection broke just now; nobody has noticed yet. For the checker.
    std::function<void()> on_broken;
  };
  ClientSocket(Network& network, std::string name, Handlers handlers);
  ~ClientSocket();
  ClientSocket(const ClientSocket&) = delete;
  ClientSocket& operator=(const ClientSocket&) = delete;

  bool connected() const { return connected_; }             // as far as it knows
  bool standing() const { return connection_ != nullptr; }  // as it is
  void send(std::string frame);                             // lost if there is no connection
  const std::string& peer() const { return peer_; }
  const std::string& name() const { return name_; }

  void break_connection();
  // Breaks it, and keeps it from coming back before then.
  void cut_off_until(TimePoint when);

 private:
  friend class Network;
  friend class ServerSocket;
  struct Connection;
  void try_to_connect();
  void establish();

  Network& network_;
  std::string name_;
  Handlers handlers_;
  const Life life_ = new_life();
  std::shared_ptr<Connection> connection_;
  std::string peer_;  // of the latest connection
  bool connected_ = false;
  TimePoint cut_off_until_;
};

struct NetworkTempo {
  Duration delay = std::chrono::microseconds{150};      // of a message, on average
  Duration slow_delay = std::chrono::milliseconds{20};  // of the few that are slow
  double slow = 0.01;
};

class Network {
 public:
  Network(Schedule& schedule, Random& random) : schedule_(schedule), random_(random) {}

  NetworkTempo tempo;
  bool somebody_listens() const { return listener_ != nullptr; }

 private:
  friend class ServerSocket;
  friend class ClientSocket;
  using Connection = ClientSocket::Connection;

  Duration some_delay();
  void break_up(const std::shared_ptr<Connection>& connection);

  Schedule& schedule_;
  Random& random_;
  ServerSocket* listener_ = nullptr;  // the one that bound the address last
  std::uint64_t next_peer_ = 1;
  std::map<std::string, std::shared_ptr<Connection>> connections_;  // by peer id
};

}  // namespace fanfare::simulation
