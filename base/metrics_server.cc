#include "base/metrics_server.h"

// Asio from Boost 1.74 wants <utility> first under C++20.
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "base/tcp_acceptor.h"

namespace fanfare {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr auto kRequestTimeout = std::chrono::seconds{5};
constexpr std::size_t kConnectionsMax = 32;
constexpr std::size_t kRequestBytesMax = 8192;

}  // namespace

struct MetricsServer::Impl : std::enable_shared_from_this<MetricsServer::Impl> {
  Impl(Loop& loop, Answers given)
      : acceptor(loop, [this](tcp::socket socket) { take(std::move(socket)); }),
        answers(std::move(given)) {}

  // One request, one answer, then the connection closes: scrapers do not mind, and nothing lingers.
  struct Connection : std::enable_shared_from_this<Connection> {
    Connection(std::shared_ptr<Impl> the_owner, tcp::socket socket)
        : owner(std::move(the_owner)), stream(std::move(socket)), buffer(kRequestBytesMax) {
      ++owner->connections;
    }
    ~Connection() { --owner->connections; }

    void read() {
      stream.expires_after(kRequestTimeout);
      http::async_read(stream, buffer, request,
                       [self = shared_from_this()](beast::error_code error, std::size_t) {
                         if (!error) self->answer();
                       });
    }
    void answer() {
      response.version(request.version());
      response.keep_alive(false);
      response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
      fill();
      if (request.method() == http::verb::head) response.body().clear();
      response.prepare_payload();
      stream.expires_after(kRequestTimeout);
      http::async_write(stream, response,
                        [self = shared_from_this()](beast::error_code, std::size_t) {
                          beast::error_code ignored;
                          self->stream.socket().shutdown(tcp::socket::shutdown_both, ignored);
                        });
    }
    void fill() {
      const auto target = request.target();
      response.result(http::status::ok);
      if (request.method() != http::verb::get && request.method() != http::verb::head) {
        response.result(http::status::method_not_allowed);
        response.body() = "use GET\n";
      } else if (target == "/metrics") {
        response.body() = owner->answers.metrics();
      } else if (target == "/healthz") {
        response.body() = "ok\n";
      } else if (target == "/readyz") {
        const bool ready = owner->answers.ready();
        if (!ready) response.result(http::status::service_unavailable);
        response.body() = ready ? "ready\n" : "not ready\n";
      } else {
        response.result(http::status::not_found);
        response.body() = "known paths: /metrics /healthz /readyz\n";
      }
    }

    std::shared_ptr<Impl> owner;
    beast::tcp_stream stream;
    beast::flat_buffer buffer;
    http::request<http::empty_body> request;
    http::response<http::string_body> response;
  };

  void take(tcp::socket socket) {
    if (connections >= kConnectionsMax) return;
    std::make_shared<Connection>(shared_from_this(), std::move(socket))->read();
  }

  TcpAcceptor acceptor;
  Answers answers;
  std::size_t connections = 0;
};

MetricsServer::MetricsServer(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

MetricsServer::~MetricsServer() {
  impl_->acceptor.close();
}

std::uint16_t MetricsServer::port() const {
  return impl_->acceptor.socket().local_endpoint().port();
}

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(Loop& loop, const std::string& address,
                                                            Answers answers) {
  const auto fail = [&](std::string_view why) {
    return fatal(fmt::format("cannot serve metrics on '{}': {}; set `metrics` to a free host:port",
                             address, why));
  };
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return fail("it is not host:port");
  beast::error_code error;
  const auto host = asio::ip::make_address(address.substr(0, colon), error);
  if (error) return fail("the host must be an IP address");
  unsigned long port = 0;
  const std::string port_text = address.substr(colon + 1);
  if (port_text.empty() || port_text.size() > 5 ||
      port_text.find_first_not_of("0123456789") != std::string::npos ||
      (port = std::stoul(port_text)) > 65535) {
    return fail("the port must be a number up to 65535");
  }

  auto impl = std::make_shared<Impl>(loop, std::move(answers));
  const tcp::endpoint endpoint(host, static_cast<std::uint16_t>(port));
  tcp::acceptor& socket = impl->acceptor.socket();
  socket.open(endpoint.protocol(), error);
  if (!error) socket.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) socket.bind(endpoint, error);
  if (!error) socket.listen(16, error);
  if (error) return fail(error.message());
  impl->acceptor.start();
  std::unique_ptr<MetricsServer> server(new MetricsServer(std::move(impl)));
  spdlog::info("metrics on http://{}:{}/metrics", address.substr(0, colon), server->port());
  return server;
}

}  // namespace fanfare
