// HTTP as the gateway's routes see it: a request, read whole, and its one response.
//
// No sockets here: http_server.h has those, and tests have their own exchanges.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fanfare::triggers {

struct HttpHeader {
  std::string name, value;
};

struct HttpResponse {
  unsigned status = 200;
  std::vector<HttpHeader> headers;  // Content-Length, Date and Connection are the server's
  std::string body;
};

// Who sent a request.
struct HttpPeer {
  std::string address;  // "192.0.2.7"
  bool loopback = false;
  bool encrypted = false;
};

// Takes a body as it arrives, so that it need not fit into memory. Destroyed with its request,
// whether that came to its end or broke off.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // What follows one another are the pieces of the body. A response refuses it: nothing more comes.
  virtual std::optional<HttpResponse> take(std::string_view bytes) = 0;
  // While it is full, its connection reads no more, and the client has to wait. on_ready is called
  // once, before the first piece; what it gets is to be called on the loop when that may have
  // changed, and not from within the other calls.
  virtual bool is_full() const { return false; }
  virtual void on_ready(std::function<void()>) {}
  // What it holds of the body at present.
  virtual std::size_t bytes_in_memory() const { return 0; }
};

// One request and its response. On the loop's thread; views hold until respond().
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;

  virtual std::string_view method() const = 0;
  // As sent: "/forms/contact?lang=de". Of "http://host/path" the path; header("Host") is its host.
  virtual std::string_view target() const = 0;
  // The first field of that name, in any case; empty if there is none.
  virtual std::string_view header(std::string_view name) const = 0;
  virtual std::vector<std::pair<std::string_view, std::string_view>> headers() const = 0;
  virtual std::string_view body() const = 0;  // empty if a sink took it
  virtual BodySink* sink() const = 0;         // null unless the plan had one
  virtual const HttpPeer& peer() const = 0;

  // Exactly once; at any time, also from within the handler. If the peer is gone nothing happens.
  virtual void respond(HttpResponse response) = 0;
};

// What is to become of a request, said when its head is known.
struct BodyPlan {
  std::size_t bytes_max = 0;               // a longer body is answered with 413 …
  std::function<HttpResponse()> too_long;  // … or with this, asked while the request is there
  std::unique_ptr<BodySink> sink;
  std::optional<HttpResponse> refusal;  // instead: the body is not read
};

struct HttpHandlers {
  std::function<BodyPlan(const HttpExchange&)> on_head;
  std::function<void(const std::shared_ptr<HttpExchange>&)> on_request;  // the body is there
  // A response is about to be written, whoever has made it. Null: its request had no head. `took`:
  // since the request's first byte was read.
  std::function<void(const HttpExchange*, unsigned status, Duration took)> on_answered = {};
};

// A to Z of a field's name or a media type as a to z.
std::string lower_case(std::string_view text);

// Of "text/html; charset=utf-8" the type, in lower case.
std::string media_type(std::string_view content_type);
// What a hexadecimal digit stands for, or -1.
int hex_digit(char byte);

// The path of a target, decoded and cut at its slashes ("/a/b%2Fc?x" → "a", "b/c"), without "." and
// "..". Nothing if it is not a path, or if an escape is not two hex digits or decodes to a control
// character or to what is not UTF-8.
std::optional<std::vector<std::string>> path_of(std::string_view target);
// What follows the first "?", raw.
std::string_view query_of(std::string_view target);

}  // namespace fanfare::triggers
