// From a request to its route: which one it is for, and who may.
//
// Routes are told apart by the first segment of the path. Each decides when the head is there what
// it wants of the body, and answers once that has come.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/histogram.h"
#include "triggers/access.h"
#include "triggers/http.h"

namespace fanfare::triggers {

using Path = std::vector<std::string>;

class Route {
 public:
  virtual ~Route() = default;
  // Made for everybody: access is not asked.
  virtual bool is_public() const { return false; }
  // How its clients are told that they may not, where they do not know the `usual` way.
  virtual HttpResponse refusal(const HttpExchange&, HttpResponse usual) const { return usual; }
  // `path` is the whole of it, decoded; its first segment is the route's own.
  virtual BodyPlan plan(const HttpExchange& exchange, const Path& path) = 0;
  virtual void handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) = 0;
};

struct GatewayCounters {
  std::uint64_t unknown_path = 0, unauthorised = 0;
  std::map<unsigned, std::uint64_t> refused;  // by status, before a body was read
};

// What became of the requests of a route.
struct RouteMeasures {
  Histogram time{duration_buckets()};
  std::map<unsigned, std::uint64_t> by_status;
};

class Gateway {
 public:
  explicit Gateway(AccessOptions access) : access_(std::move(access)) {}

  void add(std::string first_segment, std::unique_ptr<Route> route);

  BodyPlan on_head(const HttpExchange& exchange);
  void on_request(const std::shared_ptr<HttpExchange>& exchange);
  // Counts it. Null: a request that had no head.
  void on_answered(const HttpExchange* exchange, unsigned status, Duration took);
  const GatewayCounters& counters() const { return counters_; }
  // By the first segment of the route; "none": of requests that have none.
  const std::map<std::string, RouteMeasures, std::less<>>& measures() const { return measures_; }

 private:
  AccessOptions access_;
  std::map<std::string, std::unique_ptr<Route>, std::less<>> routes_;
  GatewayCounters counters_;
  std::map<std::string, RouteMeasures, std::less<>> measures_;
};

// For plan(): the body is not wanted.
BodyPlan refuse(HttpResponse response);
// For plan(): a body of so many bytes, which [triggers] max_body_bytes says.
BodyPlan take_up_to(std::size_t bytes_max);
// 405, naming what is allowed: "POST, OPTIONS".
HttpResponse method_not_allowed(std::string_view allowed);

}  // namespace fanfare::triggers
