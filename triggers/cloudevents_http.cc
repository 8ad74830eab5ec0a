#include "triggers/cloudevents_http.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "protocol/json_text.h"
#include "protocol/utf8.h"

namespace fanfare::triggers {
namespace {

using protocol::Event;

constexpr std::string_view kFieldPrefix = "ce-";
constexpr std::string_view kStructured = "application/cloudevents";
constexpr std::string_view kBatched = "application/cloudevents-batch";

// Section 3.1.3.2: a value in quotes is unquoted first; what is not printable ASCII comes as %XX.
std::string unquoted(std::string_view value) {
  if (value.size() < 2 || value.front() != '"' || value.back() != '"') return std::string{value};
  value = value.substr(1, value.size() - 2);
  std::string text;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == '\\' && i + 1 < value.size()) ++i;
    text.push_back(value[i]);
  }
  return text;
}

std::string decode(std::string_view given) {
  const std::string value = unquoted(given);
  std::string decoded;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const int high = value[i] == '%' && i + 2 < value.size() ? hex_digit(value[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(value[i + 2]) : -1;
    if (low < 0) {
      decoded.push_back(value[i]);
    } else {
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return decoded;
}

std::string encode(std::string_view value) {
  std::string encoded;
  for (const char byte : value) {
    if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '%') {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(byte));
    } else {
      encoded.push_back(byte);
    }
  }
  return encoded;
}

std::string* attribute_of(Event& event, std::string_view name) {
  if (name == "id") return &event.id;
  if (name == "source") return &event.source;
  if (name == "type") return &event.type;
  if (name == "subject") return &event.subject;
  if (name == "time") return &event.time;
  if (name == "dataschema") return &event.data_schema;
  return nullptr;
}

// `prefix` is that of the names where they are missing.
Result<void> check_required(const Event& event, std::string_view prefix) {
  const std::pair<std::string_view, const std::string&> required[] = {
      {"id", event.id}, {"source", event.source}, {"type", event.type}};
  for (const auto& [name, value] : required) {
    if (value.empty()) return reject(fmt::format("CloudEvents: {}{} is missing", prefix, name));
  }
  return {};
}

Result<void> check_version(const HttpExchange& exchange) {
  const std::string_view version = exchange.header("ce-specversion");
  if (version == "1.0") return {};
  if (version.empty()) {
    return reject("CloudEvents: the header field ce-specversion is missing; it must be 1.0");
  }
  return reject(fmt::format("CloudEvents: ce-specversion must be 1.0, not {}",
                            protocol::to_utf8(version, 32)));
}

Result<CloudEvents> binary(const HttpExchange& exchange) {
  if (const auto checked = check_version(exchange); !checked) return checked.error();
  Event event;
  for (const auto& [field, value] : exchange.headers()) {
    const std::string name = lower_case(field);
    if (!name.starts_with(kFieldPrefix)) continue;
    const std::string attribute = name.substr(kFieldPrefix.size());
    if (attribute == "specversion") continue;
    if (std::string* const known = attribute_of(event, attribute)) {
      *known = decode(value);
    } else {
      event.extensions.emplace_back(attribute, decode(value));
    }
  }
  event.content_type = exchange.header("Content-Type");
  event.data = exchange.body();
  if (const auto checked = check_required(event, "the header field ce-"); !checked) {
    return checked.error();
  }
  // What travels is what the readers of packed events take.
  if (auto whole = protocol::view_event(protocol::pack(event)); !whole) return whole.error();
  return CloudEvents{{std::move(event)}, false};
}

Result<Event> structured(std::string_view json) {
  auto event = protocol::from_cloudevents_json(json);
  if (!event) return event;
  if (const auto checked = check_required(*event, ""); !checked) return checked.error();
  return event;
}

Result<CloudEvents> batched(std::string_view body) {
  using Json = nlohmann::ordered_json;
  const Json list = protocol::nests_within_bounds(body) ? Json::parse(body, nullptr, false)
                                                        : Json(Json::value_t::discarded);
  if (list.is_discarded()) {
    return reject("CloudEvents: the batch is not JSON: " + protocol::json_fault(body));
  }
  if (!list.is_array())
    return reject(
        "CloudEvents: a batch is a JSON array of events; one event is "
        "application/cloudevents+json");
  CloudEvents all{{}, true};
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto event = structured(list[i].dump());
    if (!event) return reject(fmt::format("event {}: {}", i, event.error().message));
    all.events.push_back(*std::move(event));
  }
  return all;
}

}  // namespace

bool is_cloud_event(const HttpExchange& exchange) {
  return media_type(exchange.header("Content-Type")).starts_with(kStructured) ||
         std::ranges::any_of(exchange.headers(), [](const auto& field) {
           return lower_case(field.first).starts_with(kFieldPrefix);
         });
}

bool is_of_unknown_format(const HttpExchange& exchange) {
  const std::string type = media_type(exchange.header("Content-Type"));
  return type.starts_with(kStructured) && !type.ends_with("+json");
}

Result<CloudEvents> cloud_events_of(const HttpExchange& exchange) {
  const std::string type = media_type(exchange.header("Content-Type"));
  if (is_of_unknown_format(exchange)) {
    return reject("CloudEvents: of its event formats JSON is understood here, not " + type);
  }
  if (type.starts_with(kBatched)) return batched(exchange.body());
  if (!type.starts_with(kStructured)) return binary(exchange);
  auto event = structured(exchange.body());
  if (!event) return event.error();
  return CloudEvents{{*std::move(event)}, false};
}

BinaryCloudEvent to_binary(const Event& event) {
  BinaryCloudEvent out;
  out.headers.push_back({"ce-specversion", "1.0"});
  const auto put = [&](std::string name, const std::string& value) {
    if (!value.empty()) out.headers.push_back({"ce-" + std::move(name), encode(value)});
  };
  put("id", event.id);
  put("source", event.source);
  put("type", event.type);
  put("subject", event.subject);
  put("time", event.time);
  put("dataschema", event.data_schema);
  for (const auto& [name, value] : event.extensions) put(name, value);
  out.headers.push_back(
      {"Content-Type", event.content_type.empty() ? "application/json" : event.content_type});
  out.body = event.data;
  return out;
}

}  // namespace fanfare::triggers
