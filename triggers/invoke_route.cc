#include "triggers/invoke_route.h"

#include <fmt/format.h>

#include "protocol/base64.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"
#include "triggers/problem.h"

namespace fanfare::triggers {
namespace {

HttpResponse typed(unsigned status, std::string_view type, std::string_view message) {
  HttpResponse response{
      .status = status,
      .headers = {{"Content-Type", "application/json"}, {"X-Amzn-ErrorType", std::string{type}}},
      .body = fmt::format("{{\"Type\":\"{}\",\"Message\":", status >= 500 ? "Service" : "User")};
  protocol::append_json_string(response.body, protocol::to_utf8(message, 1024));
  // Some SDKs read the one, some the other.
  response.body += ",\"message\":";
  protocol::append_json_string(response.body, protocol::to_utf8(message, 1024));
  response.body += "}";
  return response;
}

// The SDKs wait for so long before they try again.
HttpResponse later(HttpResponse response) {
  response.headers.push_back({"Retry-After", "1"});
  return response;
}

// What a payload is: the SDKs send JSON as application/octet-stream.
std::string content_type_of(const HttpExchange& exchange) {
  const std::string_view given = exchange.header("Content-Type");
  const bool by_default = given.empty() || given == "application/octet-stream" ||
                          given.starts_with("application/x-amz-json") ||
                          given.starts_with("binary/octet-stream") ||
                          given.starts_with("application/x-www-form-urlencoded");
  return by_default ? "application/json" : std::string{given};
}

}  // namespace

std::optional<std::string> function_of(std::string_view name) {
  constexpr std::string_view kMark = ":function:";
  if (const std::size_t at = name.find(kMark); at != name.npos) {
    name.remove_prefix(at + kMark.size());
  }
  const std::size_t colon = name.find(':');
  if (colon != name.npos && name.substr(colon + 1) != "$LATEST") return std::nullopt;
  name = name.substr(0, colon);
  if (!protocol::is_function_name(name)) return std::nullopt;
  return std::string{name};
}

HttpResponse lambda_error(const Error& error, const std::string& function) {
  const std::string_view message = error.message;
  if (message.starts_with("no_such_function")) {
    return typed(404, "ResourceNotFoundException", fmt::format("Function not found: {}", function));
  }
  if (message.starts_with("too_large")) return typed(413, "RequestTooLargeException", message);
  if (message.starts_with("queue_full")) {
    return later(typed(429, "TooManyRequestsException", message));
  }
  if (message.starts_with("timeout")) return typed(504, "ServiceException", message);
  if (error.kind == ErrorKind::kReject)
    return typed(400, "InvalidRequestContentException", message);
  if (error.kind == ErrorKind::kRetryLater || error.kind == ErrorKind::kReconnect) {
    return later(typed(503, "ServiceException", message));
  }
  return typed(500, "ServiceException", message);
}

HttpResponse lambda_response(const protocol::ResultRecord& record, bool with_log) {
  HttpResponse response{
      .status = 200, .headers = {{"X-Amz-Executed-Version", "$LATEST"}}, .body = {}};
  if (record.status == protocol::Status::kSucceeded) {
    const bool typed_output = !record.content_type.empty();
    response.headers.push_back(
        {"Content-Type", typed_output ? record.content_type : "application/octet-stream"});
    response.body = record.output.empty() && !typed_output ? "null" : record.output;
  } else {
    response.headers.push_back({"Content-Type", "application/json"});
    response.headers.push_back({"X-Amz-Function-Error", "Unhandled"});
    response.body = "{\"errorMessage\":";
    protocol::append_json_string(response.body, record.error_message);
    response.body += ",\"errorType\":";
    protocol::append_json_string(response.body, record.error_type);
    response.body += "}";
  }
  if (with_log) {
    response.headers.push_back({"X-Amz-Log-Result", protocol::to_base64(record.log_tail)});
  }
  return response;
}

HttpResponse InvokeRoute::refusal(const HttpExchange& exchange, HttpResponse usual) const {
  const bool by_sdk = exchange.header("Authorization").starts_with("AWS4-HMAC-SHA256");
  if (!by_sdk || usual.status != 401) return usual;
  return typed(403, "UnrecognizedClientException",
               "The security token included in the request is invalid: the access key id must be "
               "one of [triggers] tokens");
}

BodyPlan InvokeRoute::plan(const HttpExchange& exchange, const Path& path) {
  if (path.size() != 4 || path[1] != "functions" || path[3] != "invocations") {
    return refuse(problem(404, "functions are invoked at /2015-03-31/functions/NAME/invocations"));
  }
  if (exchange.method() != "POST") return refuse(method_not_allowed("POST"));
  const auto function = function_of(path[2]);
  const std::string_view query = query_of(exchange.target());
  const bool latest = query.find("Qualifier=") == query.npos ||
                      query.find("Qualifier=%24LATEST") != query.npos ||
                      query.find("Qualifier=$LATEST") != query.npos;
  if (!function || !latest) {
    return refuse(typed(404, "ResourceNotFoundException",
                        "Function not found: " + path[2] + " (of versions there is $LATEST only)"));
  }
  const std::string_view type = exchange.header("X-Amz-Invocation-Type");
  if (!type.empty() && type != "RequestResponse" && type != "Event" && type != "DryRun") {
    return refuse(typed(400, "InvalidParameterValueException",
                        "X-Amz-Invocation-Type is RequestResponse, Event or DryRun"));
  }
  BodyPlan plan;
  plan.bytes_max = body_bytes_max_;
  plan.too_long = [bytes_max = body_bytes_max_] {
    return typed(413, "RequestTooLargeException",
                 fmt::format("the payload may have {} bytes here", bytes_max));
  };
  return plan;
}

void InvokeRoute::handle(const std::shared_ptr<HttpExchange>& exchange, const Path& path) {
  const std::string function = function_of(path[2]).value();
  const std::string_view type = exchange->header("X-Amz-Invocation-Type");
  if (type == "DryRun") return look_for(exchange, function);

  protocol::Event event;
  event.source = "/lambda";
  event.type = "function.invoked";
  event.content_type = content_type_of(*exchange);
  event.data = exchange->body();
  if (type == "Event") {
    event.options.to = function;
    const auto answer = [this, exchange, function](const Result<client::Receipt>& receipt) {
      ++(receipt ? published_.accepted : published_.refused);
      if (!receipt) return exchange->respond(lambda_error(receipt.error(), function));
      exchange->respond({.status = 202,
                         .headers = {{"X-Amzn-RequestId", protocol::to_string(receipt->id)}},
                         .body = {}});
    };
    if (const auto taken = client_.publish(event, answer); !taken) answer(taken.error());
    return;
  }
  const bool with_log = exchange->header("X-Amz-Log-Type") == "Tail";
  client_.invoke(function, event, kTimeMax,
                 [exchange, function, with_log](Result<protocol::ResultRecord> record) {
                   exchange->respond(record ? lambda_response(*record, with_log)
                                            : lambda_error(record.error(), function));
                 });
}

void InvokeRoute::look_for(const std::shared_ptr<HttpExchange>& exchange,
                           const std::string& function) {
  reads_.has_function(function, [exchange, function](const Result<bool>& there) {
    if (!there) return exchange->respond(lambda_error(there.error(), function));
    if (!*there) return exchange->respond(lambda_error(reject("no_such_function"), function));
    exchange->respond({.status = 204, .headers = {}, .body = {}});
  });
}

}  // namespace fanfare::triggers
