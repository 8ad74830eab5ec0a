#include "triggers/http_server.h"

#include "triggers/http_connection.h"
// The one above wants <utility> before Asio.
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/ssl/context.hpp>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <charconv>
#include <list>

#include "base/tcp_acceptor.h"

namespace fanfare::triggers {
namespace {

using namespace http_detail;
using namespace std::chrono_literals;

constexpr Duration kSweepEvery = 250ms;

Result<tcp::endpoint> endpoint_of(const std::string& listen) {
  const auto fail = [&](std::string_view why) {
    return reject(fmt::format("cannot listen on '{}': {}", listen, why));
  };
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return fail("it is not host:port");
  std::string host = listen.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  if (host == "localhost") host = "127.0.0.1";
  beast::error_code error;
  const auto address = asio::ip::make_address(host, error);
  if (error) return fail("the host must be an IP address, as in 127.0.0.1:8080 or [::1]:8080");
  std::uint16_t port = 0;
  const char* const end = listen.data() + listen.size();
  const auto read = std::from_chars(listen.data() + colon + 1, end, port);
  if (read.ec != std::errc{} || read.ptr != end) {
    return fail("the port must be a number up to 65535");
  }
  return tcp::endpoint{address, port};
}

Result<std::unique_ptr<asio::ssl::context>> tls_of(const HttpServerOptions& options) {
  if (options.certificate.empty() != options.key.empty()) {
    return reject("TLS needs both a certificate and its key");
  }
  if (options.certificate.empty()) return std::unique_ptr<asio::ssl::context>{};
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  // A client could have the server compute one handshake after the other on a connection.
  SSL_CTX_set_options(context->native_handle(), SSL_OP_NO_RENEGOTIATION);
  beast::error_code error;
  context->use_certificate_chain_file(options.certificate, error);
  if (error) {
    return reject(
        fmt::format("the certificate {} cannot be used: {}", options.certificate, error.message()));
  }
  context->use_private_key_file(options.key, asio::ssl::context::pem, error);
  if (error) {
    return reject(fmt::format("the key {} cannot be used: {}", options.key, error.message()));
  }
  return context;
}

}  // namespace

struct HttpServer::Impl {
  Impl(Loop& the_loop, HttpServerOptions given, HttpHandlers handle)
      : loop(the_loop),
        shared(std::make_shared<Server>(Server{.loop = the_loop,
                                               .options = given,
                                               .handlers = std::move(handle),
                                               .counters = {},
                                               .bodies = {.max = given.bodies_bytes_max}})),
        acceptor(loop, [this](tcp::socket socket) { take(std::move(socket)); }),
        sweeper(loop, [this] { sweep(); }) {
    sweep();
    sweeper.start_every(kSweepEvery);
  }

  Result<void> listen() {
    const auto endpoint = endpoint_of(shared->options.listen);
    if (!endpoint) return endpoint.error();
    auto context = tls_of(shared->options);
    if (!context) return context.error();
    tls = std::move(*context);
    beast::error_code error;
    tcp::acceptor& socket = acceptor.socket();
    socket.open(endpoint->protocol(), error);
    if (!error) socket.set_option(asio::socket_base::reuse_address(true), error);
    if (!error && endpoint->address().is_v6() && !endpoint->address().is_unspecified()) {
      socket.set_option(asio::ip::v6_only(true), error);
    }
    if (!error) socket.bind(*endpoint, error);
    if (!error) socket.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return fatal(
          fmt::format("cannot listen on '{}': {}", shared->options.listen, error.message()));
    }
    acceptor.start();
    return {};
  }

  void take(tcp::socket socket) {
    beast::error_code error;
    const auto remote = socket.remote_endpoint(error);
    if (error) return;
    socket.set_option(tcp::no_delay(true), error);
    if (shared->open >= shared->options.connections_max) {
      ++shared->counters.connections_refused;
      return turn_away(std::move(socket));
    }
    ++shared->counters.connections_accepted;
    HttpPeer peer{.address = remote.address().to_string(),
                  .loopback = remote.address().is_loopback(),
                  .encrypted = tls != nullptr};
    std::shared_ptr<Connection> connection;
    if (tls) {
      connection = std::make_shared<StreamConnection<asio::ssl::stream<tcp::socket>>>(
          shared, asio::ssl::stream<tcp::socket>(std::move(socket), *tls), std::move(peer));
    } else {
      connection = std::make_shared<StreamConnection<tcp::socket>>(shared, std::move(socket),
                                                                   std::move(peer));
    }
    connections.push_back(connection);
    connection->begin();
  }

  // As far as it goes without waiting; nothing is read.
  void turn_away(tcp::socket socket) const {
    beast::error_code ignored;
    socket.non_blocking(true, ignored);
    if (!tls) {
      static constexpr std::string_view kFull =
          "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n"
          "Connection: close\r\n\r\n";
      socket.write_some(asio::buffer(kFull.data(), kFull.size()), ignored);
    }
    socket.shutdown(tcp::socket::shutdown_send, ignored);
  }

  void sweep() {
    const Now& now = loop.now();
    shared->date = fmt::format(
        "{:%a, %d %b %Y %H:%M:%S} GMT",
        fmt::gmtime(std::chrono::system_clock::to_time_t(
            std::chrono::time_point_cast<std::chrono::system_clock::duration>(now.wall))));
    std::erase_if(connections, [&](const std::weak_ptr<Connection>& each) {
      const auto connection = each.lock();
      if (connection && connection->deadline() <= now.steady) connection->on_deadline();
      if (connection) connection->close_if_left();
      return connection == nullptr;
    });
  }

  template <class Fn>
  void each(const Fn& fn) {
    for (const auto& one : std::list(connections)) {
      if (const auto connection = one.lock()) fn(*connection);
    }
  }

  Loop& loop;
  const std::shared_ptr<Server> shared;
  std::unique_ptr<asio::ssl::context> tls;
  TcpAcceptor acceptor;
  std::list<std::weak_ptr<Connection>> connections;
  Timer sweeper;
};

HttpServer::HttpServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

HttpServer::~HttpServer() {
  impl_->acceptor.close();
  impl_->each([](Connection& connection) { connection.close(); });
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(Loop& loop, HttpServerOptions options,
                                                      HttpHandlers handlers) {
  auto impl = std::make_shared<Impl>(loop, std::move(options), std::move(handlers));
  if (const auto listening = impl->listen(); !listening) return listening.error();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

std::uint16_t HttpServer::port() const {
  return impl_->acceptor.socket().local_endpoint().port();
}

std::size_t HttpServer::connections() const {
  return impl_->shared->open;
}

std::size_t HttpServer::bodies_bytes() const {
  return impl_->shared->bodies.used;
}

const HttpServerCounters& HttpServer::counters() const {
  return impl_->shared->counters;
}

void HttpServer::begin_drain() {
  impl_->shared->draining = true;
  impl_->acceptor.close();
  impl_->each([](Connection& connection) { connection.drain(); });
}

Result<bool> listens_on_loopback(const std::string& listen) {
  const auto endpoint = endpoint_of(listen);
  if (!endpoint) return endpoint.error();
  return endpoint->address().is_loopback();
}

}  // namespace fanfare::triggers
