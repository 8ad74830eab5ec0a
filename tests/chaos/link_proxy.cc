#include "tests/chaos/link_proxy.h"

#include <sys/socket.h>
#include <unistd.h>

#include <utility>  // before Boost 1.74, which forgot it

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <charconv>
#include <deque>
#include <set>
#include <stdexcept>
#include <thread>

namespace fanfare::chaos {
namespace {

namespace asio = boost::asio;
using Protocol = asio::generic::stream_protocol;
using Endpoint = Protocol::endpoint;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

Endpoint endpoint_of(const std::string& address) {
  constexpr std::string_view kUnix = "unix://", kTcp = "tcp://";
  if (address.starts_with(kUnix)) {
    return asio::local::stream_protocol::endpoint(address.substr(kUnix.size()));
  }
  if (!address.starts_with(kTcp)) throw std::runtime_error("no address: " + address);
  const std::size_t colon = address.rfind(':');
  unsigned short port = 0;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  const auto host = asio::ip::make_address(address.substr(kTcp.size(), colon - kTcp.size()));
  return asio::ip::tcp::endpoint(host, port);
}

}  // namespace

struct LinkProxy::Impl {
  struct Pair;
  // One direction of a connection: read, hold, write.
  struct Way {
    Way(Pair& owner, Protocol::socket& source, Protocol::socket& sink, bool with_requests,
        asio::io_context& io)
        : pair(owner), from(source), to(sink), requests(with_requests), timer(io) {}
    Pair& pair;
    Protocol::socket& from;
    Protocol::socket& to;
    const bool requests;
    asio::steady_timer timer;
    std::array<char, 64 * 1024> buffer;
    std::deque<std::pair<Clock::time_point, std::string>> held;
    std::size_t held_bytes = 0;
    bool writing = false, reading = false;
  };
  struct Pair {
    explicit Pair(asio::io_context& io)
        : client(io),
          server(io),
          there(*this, client, server, true, io),
          back(*this, server, client, false, io) {}
    Protocol::socket client, server;
    Way there, back;
    bool lose_reply = false;
    std::size_t cut_request = 0;
    bool closed = false;
  };
  using Held = std::shared_ptr<Pair>;
  static constexpr std::size_t kHeldMax = 4u << 20;  // then the sender has to wait

  Impl(const std::string& listen, const std::string& to) : server(endpoint_of(to)), acceptor(io) {
    const Endpoint here = endpoint_of(listen);
    if (listen.starts_with("unix://")) ::unlink(listen.c_str() + 7);
    acceptor.open(here.protocol());
    if (!listen.starts_with("unix://")) {
      acceptor.set_option(asio::socket_base::reuse_address(true));
    }
    acceptor.bind(here);
    acceptor.listen();
    accept();
    thread = std::thread([this] { io.run(); });
  }
  ~Impl() {
    io.stop();
    thread.join();
  }

  void accept() {
    auto pair = std::make_shared<Pair>(io);
    acceptor.async_accept(pair->client, [this, pair](error_code error) {
      if (!acceptor.is_open()) return;
      accept();
      if (error) return;
      pair->server.async_connect(server, [this, pair](error_code refused) {
        if (refused) return close(pair);
        pairs.insert(pair);
        read(pair, pair->there);
        read(pair, pair->back);
      });
    });
  }

  void read(const Held& pair, Way& way) {
    if (way.reading || pair->closed || way.held_bytes >= kHeldMax) return;
    way.reading = true;
    way.from.async_read_some(asio::buffer(way.buffer),
                             [this, pair, &way](error_code error, std::size_t size) {
                               way.reading = false;
                               if (error) return close(pair);
                               take(pair, way, std::string(way.buffer.data(), size));
                               read(pair, way);
                             });
  }

  void take(const Held& pair, Way& way, std::string bytes) {
    if (way.requests && pair->cut_request > 0) {
      bytes.resize(std::min(bytes.size(), std::exchange(pair->cut_request, 0)));
      ++cut;
      error_code ignored;
      asio::write(way.to, asio::buffer(bytes), ignored);
      return close(pair);
    }
    if (!way.requests && pair->lose_reply) {
      ++lost;
      return close(pair);
    }
    way.held_bytes += bytes.size();
    way.held.emplace_back(Clock::now() + hold_up, std::move(bytes));
    pass_on(pair, way);
  }

  void pass_on(const Held& pair, Way& way) {
    if (way.writing || way.held.empty() || silent || pair->closed) return;
    way.writing = true;
    way.timer.expires_at(way.held.front().first);
    way.timer.async_wait([this, pair, &way](error_code stopped) {
      if (stopped || pair->closed) return;
      if (silent) {
        way.writing = false;
        return;
      }
      asio::async_write(way.to, asio::buffer(way.held.front().second),
                        [this, pair, &way](error_code error, std::size_t) {
                          way.writing = false;
                          if (error) return close(pair);
                          way.held_bytes -= way.held.front().second.size();
                          way.held.pop_front();
                          pass_on(pair, way);
                          read(pair, way);
                        });
    });
  }

  void close(const Held& pair) {
    if (std::exchange(pair->closed, true)) return;
    error_code ignored;
    for (Protocol::socket* socket : {&pair->client, &pair->server}) {
      // What is not read yet makes the other end see a reset, over TCP.
      const linger at_once{1, 0};
      if (socket->is_open()) {
        ::setsockopt(socket->native_handle(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      }
      // A process that the rig started meanwhile may have inherited it: closing is not enough.
      socket->shutdown(asio::socket_base::shutdown_both, ignored);
      socket->close(ignored);
    }
    pair->there.timer.cancel();
    pair->back.timer.cancel();
    pairs.erase(pair);
  }

  asio::io_context io;
  const Endpoint server;
  asio::basic_socket_acceptor<Protocol> acceptor;
  std::set<Held> pairs;
  std::chrono::milliseconds hold_up{0};
  bool silent = false;
  std::atomic<std::uint64_t> lost{0}, cut{0};
  std::thread thread;
};

LinkProxy::LinkProxy(const std::string& listen, const std::string& server)
    : impl_(std::make_unique<Impl>(listen, server)) {}
LinkProxy::~LinkProxy() = default;

void LinkProxy::delay(std::chrono::milliseconds by) {
  asio::post(impl_->io, [impl = impl_.get(), by] { impl->hold_up = by; });
}

void LinkProxy::lose_next_replies() {
  asio::post(impl_->io, [impl = impl_.get()] {
    for (const auto& pair : impl->pairs) pair->lose_reply = true;
  });
}

void LinkProxy::half_open(bool yes) {
  asio::post(impl_->io, [impl = impl_.get(), yes] {
    impl->silent = yes;
    if (yes) return;
    for (const auto& pair : impl->pairs) {
      impl->pass_on(pair, pair->there);
      impl->pass_on(pair, pair->back);
    }
  });
}

void LinkProxy::reset_all() {
  asio::post(impl_->io, [impl = impl_.get()] {
    const auto all = impl->pairs;
    for (const auto& pair : all) impl->close(pair);
  });
}

void LinkProxy::cut_next_requests(std::size_t bytes) {
  asio::post(impl_->io, [impl = impl_.get(), bytes] {
    for (const auto& pair : impl->pairs) pair->cut_request = bytes;
  });
}

std::uint64_t LinkProxy::lost_replies() const {
  return impl_->lost;
}
std::uint64_t LinkProxy::cut_requests() const {
  return impl_->cut;
}

}  // namespace fanfare::chaos
