#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "tests/support/temp_dir.h"
#include "triggers/http_server.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

class TlsServing {
 public:
  TlsServing() {
    const std::string key = dir_.file("key.pem"), certificate = dir_.file("certificate.pem");
    const std::string make =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=localhost -keyout " +
        key + " -out " + certificate + " 2>/dev/null";
    if (std::system(make.c_str()) != 0) throw std::runtime_error("no certificate");
    auto started =
        HttpServer::start(loop_, {.listen = "127.0.0.1:0", .certificate = certificate, .key = key},
                          {.on_head =
                               [](const HttpExchange& exchange) {
                                 BodyPlan plan;
                                 if (exchange.method() == "POST") plan.refusal = problem(413, "no");
                                 return plan;
                               },
                           .on_request =
                               [](const std::shared_ptr<HttpExchange>& exchange) {
                                 exchange->respond({.status = 200, .headers = {}, .body = "hello"});
                               }});
    if (!started) throw std::runtime_error(started.error().message);
    server_ = *std::move(started);
    port = server_->port();
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~TlsServing() {
    loop_.stop();
    thread_.join();
  }
  std::uint16_t port = 0;

 private:
  test::TempDir dir_;
  Loop loop_;
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

// Speaks one version of TLS, with nothing of its own against it.
class TlsClient {
 public:
  TlsClient(std::uint16_t port, int version)
      : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free), ssl_(nullptr, SSL_free) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    SSL_CTX_set_cipher_list(context_.get(), "DEFAULT:@SECLEVEL=0");
    fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    const timeval patience{.tv_sec = 2, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), fd_);
    connected = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                SSL_connect(ssl_.get()) == 1;
  }
  ~TlsClient() {
    ssl_.reset();
    ::close(fd_);
  }
  std::string get() { return ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n"); }
  // Sends all of a request before it looks for the answer.
  std::string ask(const std::string& request) {
    char answer[4096];
    for (std::size_t at = 0; at < request.size(); at += 16'384) {
      const std::string_view piece = std::string_view{request}.substr(at, 16'384);
      if (SSL_write(ssl_.get(), piece.data(), static_cast<int>(piece.size())) <= 0) {
        return "cut off";
      }
    }
    const int got = SSL_read(ssl_.get(), answer, sizeof answer);
    return {answer, static_cast<std::size_t>(std::max(got, 0))};
  }
  bool renegotiate() {
    return SSL_renegotiate(ssl_.get()) == 1 && SSL_do_handshake(ssl_.get()) == 1;
  }
  bool connected = false;

 private:
  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  int fd_ = -1;
};

TEST(HttpTls, IsOfVersion1_2OrLaterAndHasOneHandshake) {
  TlsServing serving;
  TlsClient old(serving.port, TLS1_1_VERSION);
  EXPECT_FALSE(old.connected);
  TlsClient latest(serving.port, TLS1_3_VERSION);
  ASSERT_TRUE(latest.connected);
  EXPECT_TRUE(latest.get().ends_with("hello"));
  TlsClient client(serving.port, TLS1_2_VERSION);
  ASSERT_TRUE(client.connected);
  EXPECT_TRUE(client.get().ends_with("hello"));
  EXPECT_FALSE(client.renegotiate());
}

TEST(HttpTls, WhoSendsAWholeBodyHearsThatItIsRefused) {
  TlsServing serving;
  const auto before = std::signal(SIGPIPE, SIG_IGN);  // OpenSSL's writes raise it
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsClient client(serving.port, version);
    ASSERT_TRUE(client.connected);
    EXPECT_TRUE(client
                    .ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" +
                         std::string(8'000'000, 'x'))
                    .starts_with("HTTP/1.1 413 "));
  }
  std::signal(SIGPIPE, before);
}

}  // namespace
}  // namespace fanfare::triggers
