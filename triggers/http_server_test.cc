#include "triggers/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "triggers/http_request.h"
#include "triggers/http_response.h"

namespace fanfare::triggers {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// Echoes method, target and body; what begins with /later is answered when the test says so.
class Serving {
 public:
  explicit Serving(HttpServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto started = HttpServer::start(
        loop, std::move(options),
        {.on_head = [this](const HttpExchange& exchange) { return plan(exchange); },
         .on_request =
             [this](const std::shared_ptr<HttpExchange>& exchange) { handle(exchange); }});
    if (!started) throw std::runtime_error(started.error().message);
    server = *std::move(started);
    port = server->port();
    thread_ = std::thread([this] { loop.run(); });
  }
  ~Serving() {
    loop.stop();
    thread_.join();
    held_.clear();
    server.reset();
  }
  // On the loop's thread, and waits for it.
  template <typename Fn>
  auto on_loop(Fn fn) {
    std::promise<decltype(fn())> done;
    loop.post_from_any_thread([&] {
      if constexpr (std::is_void_v<decltype(fn())>) {
        fn();
        done.set_value();
      } else {
        done.set_value(fn());
      }
    });
    return done.get_future().get();
  }
  std::size_t held() {
    return on_loop([this] { return held_.size(); });
  }
  void answer_held() {
    on_loop([this] {
      for (const auto& exchange : std::exchange(held_, {})) {
        exchange->respond({.status = 200, .headers = {}, .body = "at last"});
      }
    });
  }
  HttpServerCounters counters() {
    return on_loop([this] { return server->counters(); });
  }

  Loop loop;
  std::unique_ptr<HttpServer> server;
  std::uint16_t port = 0;
  std::string sunk;
  static constexpr std::size_t kSlowSinkHolds = 100'000, kLarge = 12'000'000;
  bool sink_may_go_on = false;
  std::function<void()> sink_ready;

 private:
  struct Sink : BodySink {
    explicit Sink(std::string& into) : all(into) {}
    std::optional<HttpResponse> take(std::string_view bytes) override {
      all += bytes;
      if (all.find("poison") == all.npos) return std::nullopt;
      return HttpResponse{.status = 415, .headers = {}, .body = "there is poison in it"};
    }
    std::string& all;
  };
  // Full until the test says otherwise.
  struct SlowSink : Sink {
    SlowSink(std::string& into, Serving& owner) : Sink(into), of(owner) {}
    bool is_full() const override { return !of.sink_may_go_on && all.size() >= kSlowSinkHolds; }
    void on_ready(std::function<void()> ready) override { of.sink_ready = std::move(ready); }
    Serving& of;
  };

  BodyPlan plan(const HttpExchange& exchange) {
    BodyPlan plan{.bytes_max = 1000, .too_long = {}, .sink = {}, .refusal = {}};
    if (exchange.target().starts_with("/refused")) {
      plan.refusal = HttpResponse{.status = 403, .headers = {}, .body = "no"};
    }
    if (exchange.target().starts_with("/sink")) {
      sunk.clear();
      plan.bytes_max = 1 << 20;
      plan.sink = std::make_unique<Sink>(sunk);
      if (exchange.target() == "/sink/slow") {
        plan.bytes_max = 16 << 20;
        plan.sink = std::make_unique<SlowSink>(sunk, *this);
      }
    }
    return plan;
  }
  void handle(const std::shared_ptr<HttpExchange>& exchange) {
    if (exchange->target().starts_with("/later")) return held_.push_back(exchange);
    if (exchange->target() == "/host") {
      return exchange->respond(
          {.status = 200, .headers = {}, .body = std::string{exchange->header("Host")}});
    }
    if (exchange->target() == "/large") {
      return exchange->respond({.status = 200, .headers = {}, .body = std::string(kLarge, 'x')});
    }
    if (exchange->target() == "/fields") {
      const auto user = exchange->header("X-User");
      return exchange->respond(
          {.status = 200,
           .headers = {},
           .body = "POST /fields " + (user.empty() ? "no user" : std::string{user})});
    }
    std::string body = std::string{exchange->method()} + " " + std::string{exchange->target()} +
                       " " + std::string{exchange->sink() ? "sunk" : exchange->body()};
    exchange->respond({.status = 200, .headers = {{"X-Test", "yes"}}, .body = std::move(body)});
  }

  std::vector<std::shared_ptr<HttpExchange>> held_;
  std::thread thread_;
};

class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer = 0)
      : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const int at_once = 1;  // what is sent byte by byte arrives so
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    if (receive_buffer > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { ::close(fd_); }
  RawClient& send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    return *this;
  }
  // Until the peer closes, or for so long.
  std::string rest(Duration at_most = 5s) {
    const auto until = std::chrono::steady_clock::now() + at_most;
    while (read_some(until)) {
    }
    return std::exchange(buffer_, {});
  }
  // One response with a length.
  std::string response(Duration at_most = 5s) {
    const auto until = std::chrono::steady_clock::now() + at_most;
    for (;;) {
      const std::size_t head = buffer_.find("\r\n\r\n");
      if (head != buffer_.npos) {
        const std::size_t length = buffer_.find("Content-Length: ");
        const std::size_t size =
            length < head ? std::stoul(buffer_.substr(length + 16)) : std::size_t{0};
        if (buffer_.size() >= head + 4 + size) {
          std::string one = buffer_.substr(0, head + 4 + size);
          buffer_.erase(0, one.size());
          return one;
        }
      }
      if (!read_some(until)) return std::exchange(buffer_, {});
    }
  }
  // How many bytes there were, without keeping them.
  std::size_t some(std::size_t at_most) {
    std::string bytes(at_most, 0);
    const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
    return got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  bool closed() {
    rest();
    char byte = 0;
    return ::recv(fd_, &byte, 1, MSG_DONTWAIT) == 0;
  }
  bool connected = false;

 private:
  bool read_some(std::chrono::steady_clock::time_point until) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
    if (left <= 0ms || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) return false;
    char bytes[65536];
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  int fd_;
  std::string buffer_;
};

std::string get(std::string_view target) {
  return "GET " + std::string{target} + " HTTP/1.1\r\nHost: x\r\n\r\n";
}
std::string post(std::string_view target, std::string_view body) {
  return "POST " + std::string{target} +
         " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string{body};
}

TEST(HttpServer, AnswersOneRequestAfterTheOtherOnOneConnection) {
  Serving serving;
  RawClient client(serving.port);
  const std::string first = client.send(post("/a?b=c", "hello")).response();
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\nDate: "));
  EXPECT_THAT(first, HasSubstr("\r\nX-Test: yes\r\nContent-Length: 17\r\n\r\n"));
  EXPECT_THAT(first, EndsWith("\r\n\r\nPOST /a?b=c hello"));
  EXPECT_THAT(client.send(get("/second")).response(), EndsWith("GET /second "));
  const std::string last =
      client.send("GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").rest();
  EXPECT_THAT(last, HasSubstr("Connection: close\r\n"));
  EXPECT_TRUE(client.closed());
  EXPECT_EQ(serving.counters().requests, 3u);
}

TEST(HttpServer, AnswersWhatIsPipelinedInItsOrder) {
  Serving serving;
  RawClient client(serving.port);
  std::string all;
  for (std::size_t i = 0; i < 50; ++i) all += post("/" + std::to_string(i), std::string(i, 'x'));
  client.send(all);
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_THAT(client.response(),
                EndsWith("POST /" + std::to_string(i) + " " + std::string(i, 'x')));
  }
  client.send(get("/later") + get("/after it"));
  while (serving.held() == 0) std::this_thread::sleep_for(1ms);
  EXPECT_THAT(client.response(50ms), IsEmpty());
  serving.answer_held();
  EXPECT_THAT(client.response(), EndsWith("at last"));
}

TEST(HttpServer, TakesARequestByteByByteAndInChunks) {
  Serving serving;
  RawClient client(serving.port);
  for (const char byte : post("/slow", "body")) client.send({&byte, 1});
  EXPECT_THAT(client.response(), EndsWith("POST /slow body"));
  client.send("POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send("3\r\nabc\r\n").send("1\r\nd\r\n").send("0\r\n\r\n");
  EXPECT_THAT(client.response(), EndsWith("POST /chunks abcd"));
  for (const std::string body : {"2\r\nab\r\n0\r\n\r\n", "0\r\n\r\n"}) {
    client.send("POST /slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (const char byte : body) {
      std::this_thread::sleep_for(1ms);
      client.send({&byte, 1});
    }
    EXPECT_THAT(client.response(), EndsWith(body.size() > 5 ? "POST /slow ab" : "POST /slow "));
  }
}

TEST(HttpServer, SaysWhetherABodyIsWantedBeforeItComes) {
  Serving serving;
  RawClient client(serving.port);
  const std::string head =
      " HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n";
  client.send("POST /a" + head);
  EXPECT_EQ(client.response(), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(client.send("abc").response(), EndsWith("POST /a abc"));
  client.send("POST /refused" + head);
  EXPECT_THAT(client.rest(), StartsWith("HTTP/1.1 403 Forbidden\r\n"));
}

TEST(HttpServer, HandsABodyToItsSinkPieceByPiece) {
  Serving serving;
  RawClient client(serving.port);
  const std::string large(900'000, 'z');
  EXPECT_THAT(client.send(post("/sink", large)).response(), EndsWith("POST /sink sunk"));
  EXPECT_TRUE(serving.sunk == large) << serving.sunk.size();
  EXPECT_THAT(client.send(post("/sink", "some poison")).rest(),
              StartsWith("HTTP/1.1 415 Unsupported Media Type\r\n"));
}

// However long that takes: it is not the client's time.
TEST(HttpServer, HoldsBackAClientWhoseBodyIsMoreThanItsSinkTakesAtPresent) {
  const std::string large(2'000'000, 'z'), request = post("/sink/slow", large);
  Serving serving({.head_timeout = 500ms});
  const auto sunk = [&] { return serving.on_loop([&] { return serving.sunk.size(); }); };
  RawClient client(serving.port);
  std::thread sending([&] { client.send(request); });
  while (sunk() < Serving::kSlowSinkHolds) std::this_thread::sleep_for(1ms);
  std::this_thread::sleep_for(800ms);
  EXPECT_LT(sunk(), Serving::kSlowSinkHolds + (32u << 10));
  EXPECT_EQ(serving.counters().too_slow, 0u);
  serving.on_loop([&] {
    serving.sink_may_go_on = true;
    serving.sink_ready();
  });
  EXPECT_THAT(client.response(), EndsWith("POST /sink/slow sunk"));
  sending.join();
  EXPECT_EQ(sunk(), large.size());
}

TEST(HttpServer, GivesUpASinkThatTakesNothing) {
  const std::string request = post("/sink/slow", std::string(2'000'000, 'z'));
  Serving serving({.head_timeout = 1s, .sink_timeout = 1100ms});
  RawClient client(serving.port);
  std::thread sending([&] { client.send(request); });
  EXPECT_THAT(client.rest(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  sending.join();
  EXPECT_EQ(serving.counters().stalled, 1u);
  EXPECT_EQ(serving.counters().too_slow, 0u);
}

TEST(HttpServer, BoundsTheBodiesOfAllRequestsTogether) {
  Serving serving({.bodies_bytes_max = 1500});
  RawClient promising(serving.port), held(serving.port), announced(serving.port),
      chunked(serving.port);
  promising.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n");
  held.send(post("/later", std::string(900, 'x')));
  while (serving.held() == 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(serving.on_loop([&] { return serving.server->bodies_bytes(); }), 900u);
  const std::string refused = announced.send(post("/b", std::string(700, 'x'))).rest();
  EXPECT_THAT(refused, StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_THAT(refused, HasSubstr("\r\nRetry-After: 1\r\n"));
  chunked.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  chunked.send("2bc\r\n" + std::string(700, 'x') + "\r\n0\r\n\r\n");
  EXPECT_THAT(chunked.rest(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(serving.counters().no_memory, 2u);

  serving.answer_held();
  EXPECT_THAT(held.response(), EndsWith("at last"));
  EXPECT_THAT(held.send(post("/d", std::string(700, 'x'))).response(), HasSubstr("POST /d xxx"));
  EXPECT_THAT(promising.send(std::string(900, 'x')).response(), HasSubstr("POST /a xxx"));
  EXPECT_EQ(serving.on_loop([&] { return serving.server->bodies_bytes(); }), 0u);
}

TEST(HttpServer, RefusesBodiesThatAreTooLong) {
  Serving serving;
  RawClient by_length(serving.port), in_chunks(serving.port);
  EXPECT_THAT(by_length.send(post("/", std::string(1001, 'x'))).rest(),
              StartsWith("HTTP/1.1 413 Content Too Large\r\n"));
  in_chunks.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  in_chunks.send("3e9\r\n" + std::string(1001, 'x') + "\r\n0\r\n\r\n");
  EXPECT_THAT(in_chunks.rest(), StartsWith("HTTP/1.1 413 Content Too Large\r\n"));
  EXPECT_TRUE(in_chunks.closed());
  EXPECT_EQ(serving.counters().too_large, 2u);
}

TEST(HttpServer, RefusesHeadsThatAreTooLong) {
  Serving serving({.head_bytes_max = 1024});
  const auto answer = [&](std::size_t in_target, std::size_t in_field) {
    RawClient client(serving.port);
    client.send("GET /" + std::string(in_target, 'x') + " HTTP/1.1\r\nHost: x\r\nX: " +
                std::string(in_field, 'x') + "\r\nConnection: close\r\n\r\n");
    return client.rest();
  };
  EXPECT_THAT(answer(0, 2000), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer(2000, 0), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer(600, 600), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(answer(450, 450), StartsWith("HTTP/1.1 200 "));
}

// Each of these could be sent without end.
TEST(HttpServer, BoundsAlsoWhatIsNeitherHeadNorBody) {
  Serving serving({.head_bytes_max = 2048});
  const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  RawClient extension(serving.port), trailer(serving.port), fields(serving.port);
  extension.send(head + "1;" + std::string(4000, 'a'));
  EXPECT_THAT(extension.rest(), StartsWith("HTTP/1.1 431 "));
  trailer.send(head + "0\r\nA: " + std::string(4000, 'a'));
  EXPECT_THAT(trailer.rest(), StartsWith("HTTP/1.1 431 "));
  fields.send("GET / HTTP/1.1\r\nHost: x\r\nB");
  for (int i = 0; i < 300; ++i) {
    fields.send(": some value\r\nB");
    std::this_thread::sleep_for(100us);
  }
  EXPECT_THAT(fields.rest(), StartsWith("HTTP/1.1 431 "));
}

TEST(HttpServer, DoesNotTakeTrailersForTheHead) {
  Serving serving;
  RawClient client(serving.port);
  client.send(
      "POST /fields HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "0\r\nX-User: admin\r\n\r\n");
  EXPECT_THAT(client.response(), EndsWith("POST /fields no user"));
}

// Where two readers could see different ends of a request, one of them can be led astray.
TEST(HttpServer, RefusesWhatCouldBeReadInTwoWays) {
  Serving serving;
  for (const std::string& request : {
           std::string{"GET / HTTP/1.1\r\n\r\n"},
           std::string{"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
           std::string{
               "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx"},
           std::string{
               "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nxx"},
           std::string{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2,2\r\n\r\nxx"},
           std::string{"POST / HTTP/1.1\r\nHost: a\r\nX: y\r\n Transfer-Encoding: chunked\r\n\r\n"},
           std::string{"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n\ty\r\n\r\n"},
           std::string{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
           std::string{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
           std::string{"GET / HTTP/1.1\r\nHost : a\r\n\r\n"},
           std::string{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nGET / "},
           std::string{
               "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"},
           std::string{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
                       "0\r\n\r\n"},
           std::string{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
                       "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"},
           std::string{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"},
           std::string{"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a handshake of TLS\r\n\r\n"},
       }) {
    RawClient client(serving.port);
    EXPECT_THAT(client.send(request).rest(), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << request;
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(serving.counters().malformed, 16u);
  RawClient old(serving.port);
  EXPECT_THAT(old.send("GET /old HTTP/1.0\r\n\r\n").rest(), EndsWith("GET /old "));
}

// As proxies send it, and RFC 9112, section 3.2.2, wants it read.
TEST(HttpServer, TakesTargetsThatNameTheirHost) {
  Serving serving;
  const auto answer = [&](const std::string& target) {
    RawClient client(serving.port);
    return client.send("GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .rest();
  };
  EXPECT_THAT(answer("http://example.org/a?b=c"), EndsWith("\r\n\r\nGET /a?b=c "));
  EXPECT_THAT(answer("HTTPS://example.org"), EndsWith("\r\n\r\nGET / "));
  EXPECT_THAT(answer("http://example.org?b"), EndsWith("\r\n\r\nGET /?b "));
  EXPECT_THAT(answer("http://example.org:81/host"), EndsWith("\r\n\r\nexample.org:81"));
  EXPECT_THAT(answer("/host"), EndsWith("\r\n\r\nx"));
  for (const char* bad : {"http://", "http:///a", "http://user@host/", "http://?"}) {
    EXPECT_THAT(answer(bad), StartsWith("HTTP/1.1 400 Bad Request\r\n")) << bad;
  }
  RawClient without(serving.port);
  without.send("GET http://example.org/a HTTP/1.1\r\n\r\n");
  EXPECT_THAT(without.rest(), StartsWith("HTTP/1.1 400 Bad Request\r\n"));
}

TEST(HttpServer, CutsOffWhoIsTooSlow) {
  Serving serving(
      {.head_timeout = 300ms, .idle_timeout = 400ms, .body_bytes_per_s_min = 1'000'000});
  RawClient idle(serving.port), head(serving.port), body(serving.port);
  head.send("GET / HTTP/1.1\r\nHo");
  body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  EXPECT_THAT(head.rest(), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_THAT(body.rest(), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  EXPECT_THAT(idle.rest(), IsEmpty());
  EXPECT_TRUE(idle.closed());
  EXPECT_EQ(serving.counters().too_slow, 2u);
}

// What comes after the response that was the last one is part of no request.
TEST(HttpServer, RunsNothingOfWhatComesTooLate) {
  Serving serving({.head_timeout = 300ms});
  RawClient client(serving.port);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nabc");
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
  client.send(post("/smuggled", "x")).send(post("/smuggled", "x"));
  EXPECT_THAT(client.rest(), IsEmpty());
  EXPECT_EQ(serving.counters().requests, 1u);
}

TEST(HttpServer, CutsOffABodyThatStandsStillHoweverFastItCameBefore) {
  Serving serving({.head_timeout = 300ms, .body_bytes_per_s_min = 10});
  RawClient client(serving.port);
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n" + std::string(899, 'x'));
  EXPECT_THAT(client.rest(2s), StartsWith("HTTP/1.1 408 Request Timeout\r\n"));
}

TEST(HttpServer, CutsOffWhoDoesNotReadItsResponse) {
  Serving serving({.write_timeout = 300ms});
  RawClient client(serving.port);
  std::string many;
  for (int i = 0; i < 20'000; ++i) many += post("/", std::string(900, 'x'));
  std::thread sending([&] { client.send(many); });
  while (serving.counters().too_slow == 0) std::this_thread::sleep_for(20ms);
  sending.join();
  EXPECT_EQ(serving.on_loop([&] { return serving.server->connections(); }), 0u);
}

// A response of megabytes, most of which the kernels hold.
TEST(HttpServer, CutsOffWhoReadsNothingOfALargeResponse) {
  Serving serving({.write_timeout = 300ms});
  RawClient client(serving.port);
  client.send(get("/large"));
  const auto began = std::chrono::steady_clock::now();
  while (serving.counters().too_slow == 0 && std::chrono::steady_clock::now() - began < 5s) {
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(serving.counters().too_slow, 1u);
  EXPECT_LT(client.rest().size(), Serving::kLarge);
}

TEST(HttpServer, WaitsForWhoReadsSlowlyButSteadily) {
  Serving serving({.write_timeout = 300ms});
  RawClient client(serving.port, /*receive_buffer=*/16'384);
  client.send(get("/large"));
  std::size_t read = 0;
  const auto began = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - began < 900ms) {
    read += client.some(4'096);
    std::this_thread::sleep_for(10ms);
  }
  EXPECT_EQ(serving.counters().too_slow, 0u);
  EXPECT_EQ(serving.on_loop([&] { return serving.server->connections(); }), 1u);
  EXPECT_LT(read, Serving::kLarge / 4) << "there is much left to write";
}

TEST(HttpServer, TurnsAwayOneConnectionTooMany) {
  Serving serving({.connections_max = 2});
  RawClient one(serving.port), two(serving.port);
  EXPECT_THAT(one.send(get("/1")).response(), EndsWith("GET /1 "));
  EXPECT_THAT(two.send(get("/2")).response(), EndsWith("GET /2 "));
  RawClient three(serving.port);
  EXPECT_THAT(three.rest(), StartsWith("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(serving.counters().connections_refused, 1u);
  EXPECT_THAT(one.send(get("/3")).response(), EndsWith("GET /3 "));
}

TEST(HttpServer, AnswersHeadWithoutABody) {
  Serving serving;
  RawClient client(serving.port);
  client.send("HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string response = client.rest();
  EXPECT_THAT(response, HasSubstr("Content-Length: 8\r\n"));
  EXPECT_THAT(response, EndsWith("\r\n\r\n"));
}

TEST(HttpServer, DrainsWhatIsUnderWayAndClosesWhatIsIdle) {
  Serving serving;
  RawClient idle(serving.port), busy(serving.port);
  EXPECT_THAT(idle.send(get("/1")).response(), EndsWith("GET /1 "));
  busy.send(get("/later"));
  while (serving.held() == 0) std::this_thread::sleep_for(1ms);
  serving.on_loop([&] { serving.server->begin_drain(); });
  EXPECT_TRUE(idle.closed());
  EXPECT_FALSE(RawClient(serving.port).connected);
  EXPECT_EQ(serving.on_loop([&] { return serving.server->connections(); }), 1u);
  serving.answer_held();
  EXPECT_THAT(busy.rest(), AllOf(HasSubstr("Connection: close\r\n"), EndsWith("at last")));
  EXPECT_TRUE(busy.closed());
}

TEST(HttpServer, ForgetsAResponseToWhoHasLeft) {
  Serving serving;
  {
    RawClient client(serving.port);
    client.send(get("/later"));
    while (serving.held() == 0) std::this_thread::sleep_for(1ms);
  }
  serving.answer_held();
  RawClient next(serving.port);
  EXPECT_THAT(next.send(get("/next")).response(), EndsWith("GET /next "));
}

TEST(HttpServer, FreesThePlaceOfWhoHasLeftBeforeItsResponse) {
  Serving serving({.connections_max = 1});
  {
    RawClient client(serving.port);
    client.send(get("/later"));
    while (serving.held() == 0) std::this_thread::sleep_for(1ms);
  }
  const auto until = std::chrono::steady_clock::now() + 5s;
  std::string answer;
  while (!answer.ends_with("GET /next ") && std::chrono::steady_clock::now() < until) {
    RawClient next(serving.port);
    answer = next.send(get("/next")).response();
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_THAT(answer, EndsWith("GET /next "));
  EXPECT_EQ(serving.held(), 1u) << "its handler still has it";
}

TEST(HttpServer, SaysWhatIsWrongWithAnAddressOrACertificate) {
  Loop loop;
  const auto start = [&](HttpServerOptions options) {
    const auto server = HttpServer::start(loop, std::move(options), {});
    return server ? "" : server.error().message;
  };
  EXPECT_EQ(start({.listen = "8080"}), "cannot listen on '8080': it is not host:port");
  EXPECT_THAT(start({.listen = "example.org:80"}), HasSubstr("the host must be an IP address"));
  EXPECT_THAT(start({.listen = "127.0.0.1:99999"}), HasSubstr("a number up to 65535"));
  EXPECT_THAT(start({.listen = "127.0.0.1:0", .certificate = "/nowhere", .key = "/nowhere"}),
              HasSubstr("the certificate /nowhere cannot be used"));
  EXPECT_THAT(start({.listen = "127.0.0.1:0", .certificate = "/nowhere"}),
              HasSubstr("both a certificate and its key"));
}

// By the allocator's own account, which sanitizers do not keep.
TEST(HttpServer, KeepsNothingForAnIdleConnectionOfWhatItsLastRequestTook) {
  Serving serving;
  const auto in_use = [] {
    const auto account = ::mallinfo2();
    return account.uordblks + account.hblkhd;
  };
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(serving.port));
    clients.back()->send(get("/a")).response();  // what is made for the first time only is there
  }
  clients.clear();
  while (serving.on_loop([&] { return serving.server->connections(); }) > 0) {
    std::this_thread::sleep_for(1ms);
  }
  const std::size_t before = in_use();
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<RawClient>(serving.port));
    const std::string large = "GET /a HTTP/1.1\r\nHost: x\r\nX: " + std::string(12'000, 'x');
    clients.back()->send(large + "\r\n\r\n").response();
  }
  clients[0]->send(get("/large"));
  for (std::size_t read = 0; read < Serving::kLarge;) read += clients[0]->some(100'000);
  const auto growth = [&] { return in_use() > before ? in_use() - before : 0; };
  for (int i = 0; i < 1000 && growth() > 400'000; ++i) std::this_thread::sleep_for(1ms);
  EXPECT_LT(growth(), 400'000u) << "4 KB each, with the test's own";
}

TEST(HttpPath, IsDecodedAndCutAtItsSlashes) {
  using Segments = std::vector<std::string>;
  EXPECT_EQ(path_of("/a/b%2Fc?x=/y"), (Segments{"a", "b/c"}));
  EXPECT_EQ(path_of("/"), Segments{""});
  EXPECT_EQ(path_of("/a/"), (Segments{"a", ""}));
  EXPECT_EQ(path_of("/gr%C3%BC%C3%9Fe"), Segments{"grüße"});
  for (const char* bad : {"", "a", "*", "http://x/", "/%", "/%4", "/%zz", "/%00", "/%ff", "/a/../b",
                          "/%2e%2e/x", "/."}) {
    EXPECT_FALSE(path_of(bad)) << bad;
  }
  EXPECT_EQ(query_of("/a?b=c?d"), "b=c?d");
  EXPECT_EQ(query_of("/a"), "");
}

TEST(HttpResponse, HasNoValueThatEndsItsLine) {
  std::string bytes;
  http_detail::append_response(
      bytes,
      {.status = 200,
       .headers = {{"Content-Type", std::string{"text/plain\r\nX-Evil: 1\n\0\x7f\t.", 26}}},
       .body = {}},
      {.date = "now", .keep = true});
  EXPECT_THAT(bytes, HasSubstr("\r\nContent-Type: text/plain  X-Evil: 1   \t.\r\n"));
}

// Keeps what it is given until the test says otherwise.
struct KeepingSink : BodySink {
  std::optional<HttpResponse> take(std::string_view bytes) override {
    kept += bytes.size();
    return std::nullopt;
  }
  bool is_full() const override { return false; }
  void on_ready(std::function<void()>) override {}
  std::size_t bytes_in_memory() const override { return kept; }
  std::size_t kept = 0;
};

TEST(RequestReader, CountsWhatItsSinkHasInMemoryAsOfNow) {
  http_detail::BodyBudget budget{.max = 1000};
  {
    http_detail::RequestReader reader(512, budget);
    const std::string head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300\r\n\r\n";
    ASSERT_EQ(reader.read(head).step, http_detail::RequestReader::Step::kHead);
    auto sink = std::make_unique<KeepingSink>();
    KeepingSink& keeping = *sink;
    BodyPlan plan;
    plan.bytes_max = 300;
    plan.sink = std::move(sink);
    ASSERT_TRUE(reader.accept(std::move(plan)));
    ASSERT_EQ(reader.read(std::string(300, 'x')).step, http_detail::RequestReader::Step::kDone);
    EXPECT_EQ(budget.used, 300u);
    keeping.kept = 100;
    reader.recount();
    EXPECT_EQ(budget.used, 100u) << "though the body is complete";
  }
  EXPECT_EQ(budget.used, 0u);
}

}  // namespace
}  // namespace fanfare::triggers
