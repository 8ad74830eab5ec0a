#include "protocol/caused_event.h"

#include <simdjson.h>

#include <algorithm>

#include "base/time.h"
#include "protocol/base64.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {
namespace {

constexpr std::size_t kStartBytesMax =
    16 * 1024;  // of a payload that is cut; escaped it may be sixfold
static_assert(6 * kStartBytesMax <= kPayloadJsonMax);

bool is_json(std::string_view bytes, std::string_view content_type) {
  const bool may_be = content_type.empty() || is_json_type(content_type);
  if (!may_be || !nests_within_bounds(bytes)) return false;
  simdjson::dom::parser parser;
  return parser.parse(bytes.data(), bytes.size()).error() == simdjson::SUCCESS;
}

std::string json_string(std::string_view text) {
  std::string json;
  append_json_string(json, text);
  return json;
}

std::string truncated(std::string_view bytes) {
  return "{\"truncated\":true,\"bytes\":" + std::to_string(bytes.size()) +
         ",\"start\":" + json_string(to_utf8(bytes.substr(0, kStartBytesMax), kStartBytesMax)) +
         '}';
}

std::string payload_json(std::string_view bytes, std::string_view content_type) {
  if (bytes.empty()) return "null";
  if (bytes.size() > kPayloadJsonMax) return truncated(bytes);
  std::string json = is_json(bytes, content_type) ? std::string{bytes}
                     : is_utf8(bytes)             ? json_string(bytes)
                                                  : "{\"base64\":\"" + to_base64(bytes) + "\"}";
  return json.size() > kPayloadJsonMax ? truncated(bytes) : json;
}

// In Lambda's words where it has some.
std::string_view condition_of(const std::optional<DeadReason>& reason) {
  if (!reason) return "Success";
  switch (*reason) {
    case DeadReason::kRetriesExhausted:
      return "RetriesExhausted";
    case DeadReason::kNotRetryable:
      return "NotRetryable";
    case DeadReason::kExpired:
      return "EventAgeExceeded";
    case DeadReason::kWorkerLosses:
      return "WorkerLosses";
    case DeadReason::kTooLarge:
      return "TooLarge";
    default:
      return "Undeliverable";
  }
}

std::string record_json(const EndedDelivery& ended, const EventView& event) {
  std::string json = "{\"version\":\"1.0\",\"timestamp\":";
  append_json_string(json, format_wall_time(wall_from_ms(ended.ended_ms)));
  json += ",\"requestContext\":{\"requestId\":";
  append_json_string(json, to_string(ended.id));
  json += ",\"functionArn\":";
  append_json_string(json, ended.function);
  json += ",\"condition\":";
  append_json_string(json, condition_of(ended.reason));
  json += ",\"approximateInvokeCount\":" + std::to_string(ended.attempts);
  for (const auto& [name, value] : {std::pair{"eventType", event.type},
                                    {"eventSource", event.source},
                                    {"eventSubject", event.subject}}) {
    json += std::string{",\""} + name + "\":";
    append_json_string(json, value);
  }
  json += "},\"requestPayload\":" + payload_json(event.data, event.content_type);
  json += ",\"responseContext\":{\"statusCode\":200,\"executedVersion\":\"" +
          std::to_string(ended.version) + "\",\"functionError\":";
  json += !ended.reason || ended.attempts == 0 ? "null" : "\"Unhandled\"";
  json += "},\"responsePayload\":";
  if (ended.reason) {
    json += "{\"errorType\":" + json_string(to_utf8(ended.error_type, 1024)) +
            ",\"errorMessage\":" + json_string(to_utf8(ended.error_message, 1024)) + '}';
  } else {
    json += payload_json(ended.output, ended.content_type);
  }
  return json += '}';
}

// What every caused event has of the one that caused it.
void inherit(Event& event, const EventView& cause) {
  const auto options = unpack_options(cause.packed_options);
  event.options.generation = options ? options->generation + 1 : kGenerationsMax + 1;
  event.options.tenant = options ? options->tenant : std::string{};
}

void inherit_trace(Event& event, const EventView& cause) {
  for (const auto& [name, value] : view_extensions(cause)) {
    if (name == "traceparent" || name == "tracestate") event.extensions.emplace_back(name, value);
  }
}

}  // namespace

CausedEvent destination_event(std::string_view destination, const EndedDelivery& ended) {
  const auto viewed = view_event(ended.packed_event);
  const EventView cause = viewed ? *viewed : EventView{};
  const bool to_function = is_function_destination(destination);
  Event event;
  event.type = !to_function ? destination : ended.reason ? "function.failed" : "function.succeeded";
  event.source = "/functions/" + std::string{ended.function};
  event.subject = to_string(ended.id);
  event.time = format_wall_time(wall_from_ms(ended.ended_ms));
  event.content_type = "application/json";
  event.data = record_json(ended, cause);
  inherit_trace(event, cause);
  inherit(event, cause);
  return {to_function ? std::string{destination} : std::string{}, pack(event)};
}

Result<CausedEvent> published_event(std::string_view packed_event, std::string_view cause) {
  auto event = unpack_event(packed_event);
  if (!event) return event.error();
  const auto viewed = view_event(cause);
  inherit(*event, viewed ? *viewed : EventView{});
  return CausedEvent{{}, pack(*event)};
}

Result<std::string> invoking_event(std::string_view function, std::string data,
                                   std::span<const Cause> causes) {
  Event event;
  event.type = "function.invoked";
  event.source = "/functions/" + std::string{function};
  event.subject = to_string(causes.front().id);
  event.data = std::move(data);
  std::uint32_t generation = 0;
  for (std::size_t i = causes.size(); i-- > 0;) {  // the first has the last word on the tenant
    const auto viewed = view_event(causes[i].packed_event);
    const EventView cause = viewed ? *viewed : EventView{};
    inherit(event, cause);
    generation = std::max(generation, event.options.generation);
    if (i == 0) inherit_trace(event, cause);
  }
  event.options.generation = generation;
  if (generation > kGenerationsMax) {
    return reject("this is the end of a chain of " + std::to_string(kGenerationsMax) +
                  " deliveries and invocations, one from another: functions wait for each other "
                  "in a circle");
  }
  return pack(event);
}

}  // namespace fanfare::protocol
