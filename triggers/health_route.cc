#include "triggers/health_route.h"

#include "triggers/problem.h"

namespace fanfare::triggers {

BodyPlan HealthRoute::plan(const HttpExchange& exchange, const Path& path) {
  if (path.size() != 1) return refuse(problem(404, "nothing is below this"));
  if (exchange.method() != "GET" && exchange.method() != "HEAD") {
    return refuse(method_not_allowed("GET, HEAD"));
  }
  return {};
}

void HealthRoute::handle(const std::shared_ptr<HttpExchange>& exchange, const Path&) {
  Word word = say_();
  exchange->respond({.status = word.good ? 200u : 503u,
                     .headers = {{"Content-Type", std::move(word.content_type)}},
                     .body = std::move(word.text)});
}

}  // namespace fanfare::triggers
