#include "triggers/result_route.h"

#include <fmt/format.h>

#include "triggers/accept.h"
#include "triggers/cloudevents_http.h"
#include "triggers/form_fields.h"
#include "triggers/problem.h"
#include "triggers/result_event.h"

namespace fanfare::triggers {
namespace {

// What is offered for one result, and for several.
constexpr std::string_view kOne[] = {"application/json", "application/cloudevents+json"};
constexpr std::string_view kSeveral[] = {"application/json", "application/cloudevents-batch+json"};

std::span<const std::string_view> offered(const Path& path) {
  return path.size() == 3 ? std::span{kOne} : std::span{kSeveral};
}

HttpResponse ok(std::string_view content_type, std::string body) {
  return {.status = 200,
          .headers = {{"Content-Type", std::string{content_type}}, {"Vary", "Accept"}},
          .body = std::move(body) + "\n"};
}

// As JSON it is a CloudEvent as well, in binary mode: its attributes are fields of the response.
HttpResponse response_of(const protocol::Event& event, bool structured) {
  if (structured) return ok(kOne[1], protocol::to_cloudevents_json(event));
  BinaryCloudEvent binary = to_binary(event);
  HttpResponse response{.status = 200, .headers = std::move(binary.headers), .body = {}};
  response.headers.push_back({"Vary", "Accept"});
  response.body = std::move(binary.body) + "\n";
  return response;
}

}  // namespace

BodyPlan ResultRoute::plan(const HttpExchange& exchange, const Path& path) {
  if (path.size() != 2 && path.size() != 3) {
    return refuse(problem(404, "results are at /results/EVENT and /results/EVENT/FUNCTION"));
  }
  if (exchange.method() != "GET" && exchange.method() != "HEAD") {
    return refuse(method_not_allowed("GET, HEAD"));
  }
  if (!protocol::parse_event_id(path[1])) {
    return refuse(problem(400, "this is no event's id; it is what publishing it has answered"));
  }
  if (!wanted_of(exchange, offered(path))) {
    return refuse(
        problem(406, fmt::format("there is {} and {} here", offered(path)[0], offered(path)[1])));
  }
  return {};
}

void ResultRoute::handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) {
  ResultReader::Question question{.event = protocol::parse_event_id(path[1]).value(),
                                  .function = path.size() == 3 ? path[2] : std::string{}};
  const auto fields = urlencoded_fields(query_of(exchange->target()));
  if (!fields) return exchange->respond(problem_of(fields.error()));
  if (const std::string* const wait = find_field(*fields, "wait")) {
    const auto duration = parse_duration(*wait);
    if (!duration || *duration > kWaitMax) {
      return exchange->respond(problem(
          400, fmt::format("wait is a time up to {}, as in wait=30s", format_duration(kWaitMax))));
    }
    question.wait = *duration;
  }
  const bool as_events = wanted_of(*exchange, offered(path)) == 1u;
  reader_.read(question, [exchange, question, as_events](Result<ResultReader::Records> records) {
    if (!records) return exchange->respond(problem_of(records.error()));
    if (!question.function.empty()) {
      const auto record = records->find(question.function);
      if (record == records->end()) {
        return exchange->respond(
            problem(404,
                    "there is no result: not yet, or not any more, or the event is none of "
                    "this function's"));
      }
      return exchange->respond(
          response_of(result_event(record->second, question.event, record->first), as_events));
    }
    std::string list = "[";
    for (const auto& [function, record] : *records) {
      if (list.size() > 1) list += ',';
      list += as_events
                  ? protocol::to_cloudevents_json(result_event(record, question.event, function))
                  : protocol::to_json(record, question.event, function);
    }
    exchange->respond(ok(as_events ? kSeveral[1] : kSeveral[0], list + "]"));
  });
}

}  // namespace fanfare::triggers
