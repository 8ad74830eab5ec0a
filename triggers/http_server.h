// An HTTP/1.1 server on the loop: connections, limits and deadlines. What a request means is its
// handlers' business.
//
// One request of a connection at a time: what a client pipelines waits in its connection until the
// response before it is written, so responses come in the order of requests. Everything is bounded:
// connections, the head of a request, its body (by the handler's plan), the bodies of all requests
// together, the time that each may take, and how slow a body may be. A request that breaks the
// protocol is answered and its connection closed. RFC 9110 and 9112; of the latter, what would make
// a request's end a matter of opinion is refused: two lengths, a length beside chunks, no or two
// hosts, values that go on in the next line.
//
// Lives on the loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/loop.h"
#include "base/result.h"
#include "triggers/http.h"

namespace fanfare::triggers {

struct HttpServerOptions {
  std::string listen = "127.0.0.1:8080";  // host:port, [v6]:port; port 0 takes a free one
  std::string certificate, key;           // PEM files; both or none: then in the clear
  std::size_t connections_max = 1024;     // one more is answered with 503
  std::size_t head_bytes_max = 16u << 10;
  Duration head_timeout = std::chrono::seconds{10};  // from its first byte; then 408
  Duration idle_timeout = std::chrono::seconds{75};  // between requests
  // A body may take head_timeout, and a second more for each so many bytes that have come.
  std::size_t body_bytes_per_s_min = 1024;
  // Bytes of bodies in memory, of all requests together; more is answered with 503. Those in flight
  // to and from handlers are counted until they are answered.
  std::size_t bodies_bytes_max = 256u << 20;
  // Without a body's sink taking anything, though the client has sent more; then 503.
  Duration sink_timeout = std::chrono::seconds{30};
  // Without a byte of the response being read; who reads slowly may take as long as it takes.
  Duration write_timeout = std::chrono::seconds{30};
};

struct HttpServerCounters {
  std::uint64_t connections_accepted = 0, connections_refused = 0;
  std::uint64_t requests = 0;   // whose head was read
  std::uint64_t malformed = 0;  // 400, 431 and the like, before a handler saw them
  std::uint64_t too_large = 0;  // bodies beyond what the handler's plan allows
  std::uint64_t no_memory = 0;  // 503: the bodies of all requests were too much
  std::uint64_t stalled = 0;    // 503: bodies whose sink took nothing
  std::uint64_t too_slow = 0;   // heads, bodies and responses that were cut off
};

class HttpServer {
 public:
  // kReject: an address or a certificate that makes no sense. kFatal: cannot listen there.
  static Result<std::unique_ptr<HttpServer>> start(Loop& loop, HttpServerOptions options,
                                                   HttpHandlers handlers);
  ~HttpServer();  // closes all connections
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::uint16_t port() const;
  std::size_t connections() const;
  std::size_t bodies_bytes() const;  // in memory at present
  const HttpServerCounters& counters() const;

  // No new connections; idle ones are closed, the others after the response they wait for. When
  // connections() is 0 it is over.
  void begin_drain();

  struct Impl;

 private:
  explicit HttpServer(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// Whether nobody beyond this machine can reach a listen address. kReject: it is not host:port.
Result<bool> listens_on_loopback(const std::string& listen);

}  // namespace fanfare::triggers
