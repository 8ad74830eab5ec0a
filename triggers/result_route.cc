#include "triggers/result_route.h"

#include <fmt/format.h>

#include "triggers/form_fields.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

HttpResponse json_response(std::string body) {
  return {.status = 200,
          .headers = {{"Content-Type", "application/json"}},
          .body = std::move(body) + "\n"};
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
  reader_.read(question, [exchange, question](Result<ResultReader::Records> records) {
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
          json_response(protocol::to_json(record->second, question.event, record->first)));
    }
    std::string list = "[";
    for (const auto& [function, record] : *records) {
      if (list.size() > 1) list += ',';
      list += protocol::to_json(record, question.event, function);
    }
    exchange->respond(json_response(list + "]"));
  });
}

}  // namespace fanfare::triggers
