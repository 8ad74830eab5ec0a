#include "triggers/s3_route.h"

#include <spdlog/spdlog.h>

#include "triggers/problem.h"
#include "triggers/s3_notification.h"

namespace fanfare::triggers {

BodyPlan S3Route::plan(const HttpExchange& exchange, const Path& path) {
  if (path.size() != 1) return refuse(problem(404, "notifications are sent to /storage"));
  // MinIO asks whether somebody is there before it sends.
  if (exchange.method() == "HEAD" || exchange.method() == "GET") {
    return refuse({.status = 200, .headers = {}, .body = {}});
  }
  if (exchange.method() != "POST") return refuse(method_not_allowed("POST"));
  return take_up_to(body_bytes_max_);
}

void S3Route::handle(const std::shared_ptr<HttpExchange>& exchange, const Path&) {
  const auto notification = read_s3_notification(exchange->body());
  if (!notification) return exchange->respond(problem_of(notification.error()));
  if (!notification->subscribe_url.empty()) {
    spdlog::warn("SNS asks whether this is its subscriber; if so, open {}",
                 notification->subscribe_url);
  }
  if (notification->events.empty()) {
    return exchange->respond({.status = 200, .headers = {}, .body = {}});
  }
  publish_all(client_, published_, exchange, notification->events);
}

}  // namespace fanfare::triggers
