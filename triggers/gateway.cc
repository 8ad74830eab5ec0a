#include "triggers/gateway.h"

#include <fmt/format.h>

#include "base/size.h"
#include "triggers/problem.h"

namespace fanfare::triggers {

void Gateway::add(std::string first_segment, std::unique_ptr<Route> route) {
  measures_.try_emplace(first_segment);
  routes_[std::move(first_segment)] = std::move(route);
}

BodyPlan Gateway::on_head(const HttpExchange& exchange) {
  const auto path = path_of(exchange.target());
  const auto route = path && !path->empty() ? routes_.find(path->front()) : routes_.end();
  BodyPlan plan;
  if (!path) {
    ++counters_.unknown_path;
    plan = refuse(problem(400,
                          "this path cannot be read: it begins with /, a % is followed by two "
                          "hexadecimal digits, and what they stand for is UTF-8 without control "
                          "characters; no part of it is . or .."));
  } else if (route == routes_.end()) {
    ++counters_.unknown_path;
    std::string known;
    for (const auto& [name, each] : routes_) known += fmt::format(" /{}", name);
    plan = refuse(problem(404, "nothing is here; there are" + known));
  } else if (auto refusal =
                 route->second->is_public() ? std::nullopt : refusal_of(access_, exchange)) {
    ++counters_.unauthorised;
    plan = refuse(route->second->refusal(exchange, *std::move(refusal)));
  } else {
    plan = route->second->plan(exchange, *path);
  }
  if (plan.refusal) ++counters_.refused[plan.refusal->status];
  return plan;
}

void Gateway::on_request(const std::shared_ptr<HttpExchange>& exchange) {
  const auto path = path_of(exchange->target());
  routes_.find(path->front())->second->handle(exchange, *path);
}

// The segment as it was sent: one that is written in another way, with escapes, counts as "none".
void Gateway::on_answered(const HttpExchange* exchange, unsigned status, Duration took) {
  std::string_view segment = exchange ? exchange->target() : std::string_view{};
  if (segment.starts_with('/')) segment.remove_prefix(1);
  segment = segment.substr(0, segment.find_first_of("/?"));
  const auto at = measures_.find(segment);
  RouteMeasures& measures = at != measures_.end() ? at->second : measures_["none"];
  ++measures.by_status[status];
  measures.time.observe(took);
}

BodyPlan refuse(HttpResponse response) {
  BodyPlan plan;
  plan.refusal = std::move(response);
  return plan;
}

BodyPlan take_up_to(std::size_t bytes_max) {
  BodyPlan plan;
  plan.bytes_max = bytes_max;
  plan.too_long = [bytes_max] {
    return problem(413, fmt::format("the body may have {} here (max_body_bytes of [triggers])",
                                    format_size(bytes_max)));
  };
  return plan;
}

HttpResponse method_not_allowed(std::string_view allowed) {
  HttpResponse response = problem(405, fmt::format("use {}", allowed));
  response.headers.push_back({"Allow", std::string{allowed}});
  return response;
}

}  // namespace fanfare::triggers
