// One connection of the HTTP server: when it reads, when it writes, how long each may take.
//
// Included by http_server.cc alone: it is made twice, in the clear and encrypted, and reading
// Asio's headers takes long.
#pragma once

#include <utility>  // Asio of Boost 1.74 wants it first

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "triggers/http_exchange.h"
#include "triggers/http_response.h"
#include "triggers/problem.h"

namespace fanfare::triggers::http_detail {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;

constexpr std::size_t kReadBytes = 16u << 10;
// What a connection has ready while it waits for a request: most have their head in it.
constexpr std::size_t kIdleBytes = 1u << 10;
constexpr std::size_t kWriteBytes = 64u << 10;
// Clients that send a whole body before they look for an answer, as the AWS SDKs do, take a
// connection that is closed meanwhile for a broken one.
constexpr std::size_t kLingerBytesMax = 16u << 20;
constexpr Duration kLingerTime = std::chrono::seconds{2};

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
    if (full_) {
      ++server_->counters.stalled;
      HttpResponse response = problem(503, "what takes this body does not at present");
      response.headers.push_back({"Retry-After", "30"});
      return answer(std::move(response), /*last=*/true);
    }
    if (writing_ && !exchange_ && is_being_read()) return;
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

  const HttpPeer& peer() const override { return peer_; }

  void respond(const Exchange& exchange, HttpResponse response) override {
    // Gone, or answered: by its handler, or because it was too slow.
    if (closed_ || exchange_.get() != &exchange) return;
    answer(std::move(response), false);
  }

 private:
  auto& socket() { return stream_.lowest_layer(); }
  void arm(Duration time) { deadline_ = server_->loop.now().steady + time; }
  void rest() { deadline_ = TimePoint::max(); }

  // ---- reading ----

  void read() {
    if (closed_ || reading_) return;
    reading_ = true;
    stream_.async_read_some(
        buffer_.prepare(exchange_ ? kReadBytes : kIdleBytes),
        [self = this->shared_from_this()](beast::error_code error, std::size_t bytes) {
          self->on_read(error, bytes);
        });
  }

  void on_read(beast::error_code error, std::size_t bytes) {
    reading_ = false;
    if (closed_) return;
    if (kEncrypted && lingering_) return;  // what is said after the last word is read below TLS
    if (error) return close();
    // It was answered while this was on its way, for good: nothing of it is a request.
    if (lingering_) return linger(bytes);
    if (writing_) return;
    buffer_.commit(bytes);
    if (exchange_ && exchange_->reader().has_head()) extend_for(bytes);
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
    using Step = RequestReader::Step;
    while (!closed_) {
      if (!exchange_) {
        if (buffer_.size() == 0) {
          if (server_->draining) return close();
          release_memory();
          arm(server_->options.idle_timeout);
          return read();
        }
        exchange_ = std::make_shared<Exchange>(this->shared_from_this(), server_);
        arm(server_->options.head_timeout);
      }
      const auto in = buffer_.cdata();
      const auto taken = exchange_->reader().read({static_cast<const char*>(in.data()), in.size()});
      buffer_.consume(taken.bytes);
      switch (taken.step) {
        case Step::kMore:
          return read();
        case Step::kFull:
          return wait_for_sink();
        case Step::kRefused:
          return refuse();
        case Step::kHead:
          if (!take_head()) return;
          break;
        case Step::kDone: {
          rest();
          auto exchange = exchange_;
          return server_->handlers.on_request(exchange);
        }
      }
    }
  }

  // An idle connection costs little, whatever its last request and response have taken.
  void release_memory() {
    if (buffer_.capacity() > kIdleBytes) buffer_.shrink_to_fit();
    if (out_.capacity() > kIdleBytes) std::string{}.swap(out_);
  }

  // The client is held back: what it sends meanwhile waits in the kernel, and then it has to wait.
  // That is none of its time; but a sink that takes nothing for long will take nothing more.
  void wait_for_sink() {
    full_ = true;
    arm(server_->options.sink_timeout);
  }

  void on_sink_ready(const Exchange* of) {
    if (closed_ || exchange_.get() != of) return;
    exchange_->reader().recount();
    if (!full_) return;
    full_ = false;
    arm(server_->options.head_timeout);
    parse();
  }

  // False if the connection goes on by itself: it is refused, or told to continue.
  bool take_head() {
    RequestReader& reader = exchange_->reader();
    ++server_->counters.requests;
    BodyPlan plan = server_->handlers.on_head(*exchange_);
    if (plan.refusal) {
      answer(*std::move(plan.refusal), !reader.is_bodiless());
      return false;
    }
    if (!reader.accept(std::move(plan))) {
      refuse();
      return false;
    }
    if (BodySink* const sink = reader.sink()) {
      sink->on_ready([weak = this->weak_from_this(), of = exchange_.get()] {
        if (const auto self = weak.lock()) self->on_sink_ready(of);
      });
    }
    if (reader.is_bodiless() || !reader.expects_continue() || buffer_.size() > 0) return true;
    writing_ = true;
    asio::async_write(stream_, asio::buffer(kContinue),
                      [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                        self->writing_ = false;
                        if (self->closed_) return;
                        error ? self->close() : self->read();
                      });
    return false;
  }

  void refuse() {
    Refusal refusal = exchange_->reader().take_refusal();
    if (refusal.why == Refusal::Why::kMalformed) {
      ++server_->counters.malformed;
    } else if (refusal.why == Refusal::Why::kTooLarge) {  // what a sink refuses its route counts
      ++server_->counters.too_large;
    } else if (refusal.why == Refusal::Why::kNoMemory) {
      ++server_->counters.no_memory;
    }
    answer(std::move(refusal.response), true);
  }

  // ---- writing ----

  // `last`: what follows the request cannot be found, or is not wanted.
  void answer(HttpResponse response, bool last) {
    const RequestReader& reader = exchange_->reader();
    const bool head_known = reader.has_head();
    const bool keep = !last && !server_->draining && head_known && reader.keep_alive();
    out_.clear();
    append_response(out_, response,
                    {.date = server_->date,
                     .keep = keep,
                     .to_http_1_0 = head_known && reader.minor_version() == 0,
                     .to_head = head_known && reader.method() == "HEAD"});
    if (server_->handlers.on_answered) {
      server_->handlers.on_answered(head_known ? exchange_.get() : nullptr, response.status,
                                    server_->loop.now().steady - exchange_->begun());
    }
    writing_ = true;
    full_ = false;
    exchange_.reset();
    written_ = 0;
    read_ = std::numeric_limits<std::int64_t>::min();
    look_again_at_reader();
    asio::async_write(
        stream_, asio::buffer(out_),
        [self = this->shared_from_this()](beast::error_code error, std::size_t total) {
          self->written_ = static_cast<std::int64_t>(total);
          return error ? 0 : kWriteBytes;
        },
        [self = this->shared_from_this(), keep](beast::error_code error, std::size_t) {
          self->on_written(error, keep);
        });
  }

  void look_again_at_reader() { arm(server_->options.write_timeout / 8); }

  // Whether the client has read anything for write_timeout. What the kernel holds for it, which may
  // be megabytes, is not read yet; so it is no matter how slow it reads.
  bool is_being_read() {
    int queued = 0;
    if (::ioctl(socket().native_handle(), SIOCOUTQ, &queued) != 0) return false;
    const TimePoint now = server_->loop.now().steady;
    if (written_ - queued > read_) {
      read_ = written_ - queued;
      read_at_ = now;
    }
    look_again_at_reader();
    return now - read_at_ < server_->options.write_timeout;
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
  // on its way: the rest is read, within bounds (RFC 9112, section 9.6). Of an encrypted
  // connection, too, where nobody need understand it: the client has TLS's own goodbye before it.
  void finish() {
    lingering_ = true;
    arm(kLingerTime);
    buffer_.consume(buffer_.size());
    if constexpr (kEncrypted) {
      // It ends in an error if what comes first is not the client's goodbye, but a body.
      stream_.async_shutdown([self = this->shared_from_this()](beast::error_code error) {
        error ? self->end_sending() : self->close();
      });
    } else {
      end_sending();
    }
  }

  void end_sending() {
    if (closed_) return;
    beast::error_code ignored;
    socket().shutdown(tcp::socket::shutdown_send, ignored);
    linger(0);
  }

  tcp::socket& bare() {
    if constexpr (kEncrypted) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  void linger(std::size_t so_far) {
    if (closed_) return;
    bare().async_read_some(
        buffer_.prepare(kReadBytes),
        [self = this->shared_from_this(), so_far](beast::error_code error, std::size_t bytes) {
          if (error || so_far + bytes > kLingerBytesMax) return self->close();
          self->linger(so_far + bytes);
        });
  }

  static constexpr char kContinueText[] = "HTTP/1.1 100 Continue\r\n\r\n";
  inline static const asio::const_buffer kContinue{kContinueText, sizeof kContinueText - 1};

  std::shared_ptr<Server> server_;
  Stream stream_;
  HttpPeer peer_;
  beast::flat_buffer buffer_;
  std::shared_ptr<Exchange> exchange_;  // the request that is read or answered
  std::string out_;
  std::int64_t written_ = 0, read_ = 0;  // bytes of out_ that kernel and client have taken
  TimePoint read_at_;
  TimePoint deadline_ = TimePoint::max();
  bool reading_ = false, full_ = false, writing_ = false, lingering_ = false, closed_ = false;
};

}  // namespace fanfare::triggers::http_detail
