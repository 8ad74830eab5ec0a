// What a server, its connections and the requests on them know of each other.
#pragma once

#include <memory>
#include <string>

#include "base/loop.h"
#include "triggers/http_request.h"
#include "triggers/http_server.h"

namespace fanfare::triggers::http_detail {

class Exchange;

// What a connection needs of its server, and what it may outlive it with.
struct Server {
  Loop& loop;
  const HttpServerOptions options;
  const HttpHandlers handlers;
  HttpServerCounters counters;
  BodyBudget bodies;
  std::size_t open = 0;  // connections
  bool draining = false;
  std::string date;  // of now, as HTTP writes it
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
  virtual const HttpPeer& peer() const = 0;
  virtual void respond(const Exchange& exchange, HttpResponse response) = 0;
};

// A request and the connection that it came on, kept by whoever will answer it.
class Exchange final : public HttpExchange {
 public:
  Exchange(std::shared_ptr<Connection> connection, std::shared_ptr<Server> server)
      : server_(std::move(server)),
        reader_(server_->options.head_bytes_max, server_->bodies),
        connection_(std::move(connection)),
        begun_(server_->loop.now().steady) {}

  std::string_view method() const override { return reader_.method(); }
  std::string_view target() const override { return reader_.target(); }
  std::string_view header(std::string_view name) const override { return reader_.header(name); }
  std::vector<std::pair<std::string_view, std::string_view>> headers() const override {
    return reader_.fields();
  }
  std::string_view body() const override { return reader_.body(); }
  BodySink* sink() const override { return reader_.sink(); }
  const HttpPeer& peer() const override { return connection_->peer(); }
  void respond(HttpResponse response) override { connection_->respond(*this, std::move(response)); }

  RequestReader& reader() { return reader_; }
  const RequestReader& reader() const { return reader_; }
  TimePoint begun() const { return begun_; }  // its first byte was read

 private:
  std::shared_ptr<Server> server_;  // its budget
  RequestReader reader_;
  std::shared_ptr<Connection> connection_;
  TimePoint begun_;
};

}  // namespace fanfare::triggers::http_detail
