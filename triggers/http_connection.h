// One connection of the HTTP server. Included by http_server.cc alone: it is made twice, in the
// clear and encrypted, and reading Beast's headers takes long.
#pragma once

#include <utility>  // Asio of Boost 1.74 wants it first

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>

#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <list>

#include "triggers/http_server.h"
#include "triggers/problem.h"

namespace fanfare::triggers::http_detail {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;

constexpr std::size_t kReadBytes = 16u << 10;
constexpr std::size_t kLingerBytesMax = 1u << 20;
constexpr Duration kLingerTime = std::chrono::seconds{2};

// What a connection needs of its server, and what it may outlive it with.
struct Server {
  Loop& loop;
  const HttpServerOptions options;
  const HttpHandlers handlers;
  HttpServerCounters counters;
  std::size_t open = 0;  // connections
  bool draining = false;
  std::string date;  // of now, as HTTP writes it
};

// Where the bytes of a body go; bound to each request.
struct Body {
  std::size_t bytes_max = 0, bytes = 0;
  std::optional<HttpResponse> too_long;
  std::string text;
  std::unique_ptr<BodySink> sink;
  std::optional<HttpResponse> refusal;  // why it is not taken any more

  HttpResponse too_long_response() {
    if (too_long) return *std::move(too_long);
    return problem(413, "the body may have " + std::to_string(bytes_max) + " bytes here");
  }

  bool take(std::string_view piece) {
    bytes += piece.size();
    if (bytes > bytes_max) {
      refusal = too_long_response();
      return false;
    }
    if (!sink) {
      text.append(piece);
      return true;
    }
    const auto taken = sink->take(piece);
    if (!taken) refusal = problem_of(taken.error());
    return taken.has_value();
  }
};

// Hands a message's body on to a Body, as Beast wants it.
struct BodyPieces {
  using value_type = std::shared_ptr<Body>;
  class reader {
   public:
    template <bool is_request, class Fields>
    reader(http::header<is_request, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<std::uint64_t>& length, beast::error_code& error) {
      error = {};
      if (length && !body_->sink) {
        body_->text.reserve(std::min<std::size_t>(*length, kReadBytes));
      }
    }
    template <class Buffers>
    std::size_t put(const Buffers& buffers, beast::error_code& error) {
      std::size_t size = 0;
      error = {};
      for (auto at = asio::buffer_sequence_begin(buffers); at != asio::buffer_sequence_end(buffers);
           ++at) {
        const asio::const_buffer piece = *at;
        size += piece.size();
        if (!body_->take({static_cast<const char*>(piece.data()), piece.size()})) {
          error = http::make_error_code(http::error::body_limit);
          return size;
        }
      }
      return size;
    }
    void finish(beast::error_code& error) { error = {}; }

   private:
    value_type& body_;
  };
};

class Connection {
 public:
  virtual ~Connection() = default;
  virtual void begin() = 0;
  virtual void close() = 0;  // now
  virtual void drain() = 0;  // if it is idle, else after its response
  virtual TimePoint deadline() const = 0;
  virtual void on_deadline() = 0;
  virtual void close_if_left() = 0;  // asked now and then
};
using Connections = std::list<std::weak_ptr<Connection>>;

template <class Stream>
class StreamConnection final : public Connection,
                               public std::enable_shared_from_this<StreamConnection<Stream>> {
 public:
  static constexpr bool kEncrypted = !std::is_same_v<Stream, tcp::socket>;

  StreamConnection(std::shared_ptr<Server> server, Stream stream, HttpPeer peer)
      : server_(std::move(server)), stream_(std::move(stream)), peer_(std::move(peer)) {
    ++server_->open;
  }
  ~StreamConnection() override { close(); }

  void begin() override {
    arm(server_->options.head_timeout);
    if constexpr (kEncrypted) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code error) {
                                error ? self->close() : self->read();
                              });
    } else {
      read();
    }
  }

  void close() override {
    if (closed_) return;
    closed_ = true;
    --server_->open;  // its handler may keep it for a while yet
    exchange_.reset();
    beast::error_code ignored;
    socket().close(ignored);
  }

  void drain() override {
    if (!exchange_ && !writing_ && buffer_.size() == 0) close();
  }

  TimePoint deadline() const override { return closed_ ? TimePoint::max() : deadline_; }

  void on_deadline() override {
    const bool idle = !exchange_ && !writing_ && buffer_.size() == 0 && !lingering_;
    if (idle || lingering_) return close();
    ++server_->counters.too_slow;
    if (writing_ || !exchange_) return close();
    answer(problem(408, "the request did not come in time"), /*last=*/true);
  }

  // Nobody reads from a connection whose request is being handled: who has left would keep its
  // place until the response is there.
  void close_if_left() override {
    if (closed_ || !exchange_ || reading_ || writing_ || buffer_.size() > 0) return;
    char byte = 0;
    const ssize_t got = ::recv(socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) close();
  }

 private:
  struct Exchange;

  auto& socket() { return stream_.lowest_layer(); }
  void arm(Duration time) { deadline_ = server_->loop.now().steady + time; }
  void rest() { deadline_ = TimePoint::max(); }

  void read() {
    if (closed_ || reading_) return;
    reading_ = true;
    stream_.async_read_some(
        buffer_.prepare(kReadBytes),
        [self = this->shared_from_this()](beast::error_code error, std::size_t bytes) {
          self->on_read(error, bytes);
        });
  }

  void on_read(beast::error_code error, std::size_t bytes) {
    reading_ = false;
    if (closed_) return;
    if (error) return close();
    // It was answered while this was on its way, for good: nothing of it is a request.
    if (lingering_) return linger(bytes);
    if (writing_) return;
    buffer_.commit(bytes);
    if (exchange_ && exchange_->head_seen) extend_for(bytes);
    parse();
  }

  // What comes fast earns no time in which to stand still.
  void extend_for(std::size_t bytes) {
    const std::chrono::nanoseconds earned{1'000'000'000 * bytes /
                                          server_->options.body_bytes_per_s_min};
    deadline_ =
        std::min(deadline_ + earned, server_->loop.now().steady + server_->options.head_timeout);
  }

  // What the buffer holds, up to the end of a request or of the buffer.
  void parse() {
    while (!closed_) {
      if (!exchange_) {
        if (buffer_.size() == 0) {
          if (server_->draining) return close();
          arm(server_->options.idle_timeout);
          return read();
        }
        exchange_ = std::make_shared<Exchange>(this->shared_from_this());
        arm(server_->options.head_timeout);
      }
      auto& parser = exchange_->parser;
      if (!parser.is_done()) {
        beast::error_code error;
        const std::size_t taken = parser.put(buffer_.data(), error);
        buffer_.consume(taken);
        if (!exchange_->head_seen) exchange_->head_bytes += taken;
        // What is kept is a part of the head, of a chunk's head or of what follows the last chunk.
        const std::size_t kept =
            buffer_.size() + (exchange_->head_seen ? 0 : exchange_->head_bytes);
        if (error == http::error::need_more) {
          if (kept <= server_->options.head_bytes_max) return read();
          error = http::error::header_limit;
        }
        if (error) return refuse(error);
      }
      if (!exchange_->head_seen && parser.is_header_done()) {
        if (!take_head()) return;
      }
      if (!parser.is_done() && buffer_.size() == 0) return read();
      if (parser.is_done()) {
        rest();
        auto exchange = exchange_;
        return server_->handlers.on_request(exchange);
      }
    }
  }

  // False if the connection goes on by itself: it is refused, or told to continue.
  bool take_head() {
    Exchange& exchange = *exchange_;
    exchange.head_seen = true;
    exchange.note_fields();
    ++server_->counters.requests;
    auto& parser = exchange.parser;
    const auto& head = parser.get();
    if (const auto fault = fault_of(head); !fault.empty()) {
      ++server_->counters.malformed;
      answer(problem(400, fault), true);
      return false;
    }
    BodyPlan plan = server_->handlers.on_head(exchange);
    Body& body = *exchange.body_pieces;
    body.bytes_max = plan.bytes_max;
    body.too_long = std::move(plan.too_long);
    body.sink = std::move(plan.sink);
    const auto length = parser.content_length();
    const bool empty = parser.is_done() || (length && *length == 0);
    if (plan.refusal) {
      answer(*std::move(plan.refusal), !empty);
      return false;
    }
    if (length && *length > plan.bytes_max) {
      ++server_->counters.too_large;
      answer(body.too_long_response(), true);
      return false;
    }
    parser.eager(true);
    if (empty || !beast::iequals(head[http::field::expect], "100-continue") ||
        head.version() < 11 || buffer_.size() > 0) {
      return true;
    }
    writing_ = true;
    asio::async_write(stream_, asio::buffer(kContinue),
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        self->writing_ = false;
                        if (self->closed_) return;
                        error ? self->close() : self->read();
                      });
    return false;
  }

  template <class Head>
  static std::string_view fault_of(const Head& head) {
    const auto hosts = head.equal_range(http::field::host);
    const auto count = std::distance(hosts.first, hosts.second);
    if (count > 1 || (count == 0 && head.version() >= 11)) return "one Host is needed";
    const auto encodings = head.count(http::field::transfer_encoding);
    if (encodings > 0 && head.count(http::field::content_length) > 0) {
      return "a Content-Length beside a Transfer-Encoding";
    }
    if (encodings > 1 ||
        (encodings == 1 && !beast::iequals(head[http::field::transfer_encoding], "chunked"))) {
      return "of Transfer-Encodings only chunked is understood";
    }
    if (head.version() < 11 && head.count(http::field::transfer_encoding) > 0) {
      return "HTTP/1.0 knows no Transfer-Encoding";
    }
    return {};
  }

  void refuse(beast::error_code error) {
    Body& body = *exchange_->body_pieces;
    if (body.refusal) {
      if (body.refusal->status == 413) ++server_->counters.too_large;
      return answer(*std::move(body.refusal), true);
    }
    ++server_->counters.malformed;
    if (error == http::error::header_limit) {
      return answer(problem(431, "the head of a request may have " +
                                     std::to_string(server_->options.head_bytes_max) + " bytes"),
                    true);
    }
    if (error == http::error::bad_version) {
      return answer(problem(505, "HTTP/1.1 is spoken here"), true);
    }
    answer(problem(400, "this is no request of HTTP/1.1: " + error.message()), true);
  }

  // `last`: what follows the request cannot be found, or is not wanted.
  void answer(HttpResponse response, bool last) {
    auto& parser = exchange_->parser;
    const bool head_known = parser.is_header_done();
    const bool keep = !last && !server_->draining && head_known && parser.keep_alive();
    const bool bodiless = response.status == 204 || response.status == 304;
    const bool to_head = head_known && parser.get().method() == http::verb::head;
    out_.clear();
    out_ += "HTTP/1.1 ";
    append_number(out_, response.status);
    out_ += ' ';
    out_ += reason_phrase(response.status);
    out_ += "\r\nDate: ";
    out_ += server_->date;
    out_ += "\r\n";
    for (const HttpHeader& header : response.headers) {
      out_ += header.name;
      out_ += ": ";
      out_ += header.value;
      out_ += "\r\n";
    }
    if (!bodiless) {
      out_ += "Content-Length: ";
      append_number(out_, response.body.size());
      out_ += "\r\n";
    }
    if (!keep) {
      out_ += "Connection: close\r\n";
    } else if (parser.get().version() < 11) {
      out_ += "Connection: keep-alive\r\n";
    }
    out_ += "\r\n";
    if (!bodiless && !to_head) out_ += response.body;
    writing_ = true;
    exchange_.reset();
    // For a large one as long as it takes at the slowest that bodies may come.
    arm(server_->options.write_timeout +
        std::chrono::seconds{out_.size() / server_->options.body_bytes_per_s_min / 16});
    asio::async_write(stream_, asio::buffer(out_),
                      [self = this->shared_from_this(), keep](
                          beast::error_code error, std::size_t) { self->on_written(error, keep); });
  }

  void on_written(beast::error_code error, bool keep) {
    writing_ = false;
    if (closed_) return;
    if (error) return close();
    if (!keep) return finish();
    // What is left is a request that came with this one; if none did, wait for the next one.
    parse();
  }

  // A close with bytes unread makes the kernel reset the connection, and the response may be lost
  // on its way: the rest is read, within bounds (RFC 9112, section 9.6).
  void finish() {
    lingering_ = true;
    arm(kLingerTime);
    buffer_.consume(buffer_.size());
    beast::error_code ignored;
    if constexpr (kEncrypted) {
      stream_.async_shutdown(
          [self = this->shared_from_this()](beast::error_code) { self->close(); });
    } else {
      socket().shutdown(tcp::socket::shutdown_send, ignored);
      linger(0);
    }
  }

  void linger(std::size_t so_far) {
    if (closed_) return;
    stream_.async_read_some(
        buffer_.prepare(kReadBytes),
        [self = this->shared_from_this(), so_far](beast::error_code error, std::size_t bytes) {
          if (error || so_far + bytes > kLingerBytesMax) return self->close();
          self->linger(so_far + bytes);
        });
  }

  static void append_number(std::string& text, std::uint64_t number) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text.append(digits, end);
  }

  static constexpr char kContinueText[] = "HTTP/1.1 100 Continue\r\n\r\n";
  inline static const asio::const_buffer kContinue{kContinueText, sizeof kContinueText - 1};

  std::shared_ptr<Server> server_;
  Stream stream_;
  HttpPeer peer_;
  beast::flat_buffer buffer_;
  std::shared_ptr<Exchange> exchange_;  // the request that is read or answered
  std::string out_;
  TimePoint deadline_ = TimePoint::max();
  bool reading_ = false, writing_ = false, lingering_ = false, closed_ = false;
};

template <class Stream>
struct StreamConnection<Stream>::Exchange final : HttpExchange,
                                                  std::enable_shared_from_this<Exchange> {
  explicit Exchange(std::shared_ptr<StreamConnection> of) : connection(std::move(of)) {
    parser.get().body() = body_pieces;
    parser.header_limit(static_cast<std::uint32_t>(connection->server_->options.head_bytes_max));
    parser.body_limit((std::numeric_limits<std::uint64_t>::max)());  // its plan has one
  }

  std::string_view method() const override { return to_std(parser.get().method_string()); }
  std::string_view target() const override { return to_std(parser.get().target()); }
  std::string_view header(std::string_view name) const override {
    for (const auto& [field, value] : fields) {
      if (beast::iequals({field.data(), field.size()}, {name.data(), name.size()})) return value;
    }
    return {};
  }
  std::vector<std::pair<std::string_view, std::string_view>> headers() const override {
    return fields;
  }
  std::string_view body() const override { return body_pieces->text; }
  BodySink* sink() const override { return body_pieces->sink.get(); }
  const HttpPeer& peer() const override { return connection->peer_; }
  void respond(HttpResponse response) override {
    // Gone, or answered: by its handler, or because it was too slow.
    if (connection->closed_ || connection->exchange_.get() != this) return;
    connection->answer(std::move(response), false);
  }

  // Those of the head alone: what follows the last chunk was there for nobody's decision
  // (RFC 9110, section 6.5.1). They stay where they are.
  void note_fields() {
    for (const auto& field : parser.get()) {
      fields.emplace_back(to_std(field.name_string()), to_std(field.value()));
    }
  }

  static std::string_view to_std(beast::string_view text) { return {text.data(), text.size()}; }

  std::shared_ptr<StreamConnection> connection;
  std::shared_ptr<Body> body_pieces = std::make_shared<Body>();
  http::request_parser<BodyPieces> parser;
  std::vector<std::pair<std::string_view, std::string_view>> fields;
  std::size_t head_bytes = 0;  // taken by the parser
  bool head_seen = false;
};

}  // namespace fanfare::triggers::http_detail
