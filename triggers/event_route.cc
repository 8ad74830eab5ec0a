#include "triggers/event_route.h"

#include "triggers/cloudevents_http.h"
#include "triggers/problem.h"

namespace fanfare::triggers {

BodyPlan EventRoute::plan(const HttpExchange& exchange, const Path& path) {
  if (path.size() != 1) return refuse(problem(404, "events are sent to /events"));
  if (exchange.method() != "POST") return refuse(method_not_allowed("POST"));
  if (!is_cloud_event(exchange) || is_of_unknown_format(exchange)) {
    HttpResponse response = problem(
        415,
        "this is no CloudEvent: send one as JSON with Content-Type: "
        "application/cloudevents+json, several with application/cloudevents-batch+json, or "
        "the data with the header fields ce-specversion: 1.0, ce-id, ce-source and ce-type");
    response.headers.push_back({"Accept", "application/cloudevents+json"});
    return refuse(std::move(response));
  }
  return take_up_to(body_bytes_max_);
}

void EventRoute::handle(const std::shared_ptr<HttpExchange>& exchange, const Path&) {
  auto events = cloud_events_of(*exchange);
  if (!events) return exchange->respond(problem_of(events.error()));
  if (events->batch && has_options(*exchange)) {
    return exchange->respond(problem(
        400, "Idempotency-Key and the Fanfare- fields are for single events, not for batches"));
  }
  if (events->batch) return publish_all(client_, counters_, exchange, events->events);
  auto& event = events->events.front();
  if (const auto read = read_options(*exchange, event.options); !read) {
    return exchange->respond(problem_of(read.error()));
  }
  publish_one(client_, counters_, exchange, std::move(event));
}

}  // namespace fanfare::triggers
