// Takes connections of a listening socket, one after the other. Include in .cc files only.
//
// Where the kernel gives none (no descriptors are left, or no memory) it waits a little: the
// connection stays in the queue, so the next try would fail at once, and the loop would be busy
// with nothing else.
//
// Belongs to its loop's thread. The callback runs on the loop, and may destroy or close this.
#pragma once

#include <utility>  // Asio of Boost 1.74 wants it first

#include <boost/asio/ip/tcp.hpp>
#include <functional>
#include <memory>

#include "base/loop.h"

namespace fanfare {

class TcpAcceptor {
 public:
  using OnConnection = std::function<void(boost::asio::ip::tcp::socket)>;
  static constexpr Duration kPause = std::chrono::milliseconds{100};

  TcpAcceptor(Loop& loop, OnConnection on_connection);
  ~TcpAcceptor();  // closes; nobody is called any more
  TcpAcceptor(const TcpAcceptor&) = delete;
  TcpAcceptor& operator=(const TcpAcceptor&) = delete;

  // To be opened and bound by whoever knows how, and to listen.
  boost::asio::ip::tcp::acceptor& socket();
  // From now on, until it is closed.
  void start();
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace fanfare
