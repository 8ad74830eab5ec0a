// CloudEvents 1.0, JSON format, structured mode.
#include <nlohmann/json.hpp>

#include "protocol/base64.h"
#include "protocol/event.h"
#include "protocol/json_text.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {
namespace {

using Json = nlohmann::ordered_json;

struct AttributeName {
  const char* name;
  std::string Event::* member;
};

constexpr AttributeName kAttributes[] = {
    {"id", &Event::id},
    {"source", &Event::source},
    {"type", &Event::type},
    {"subject", &Event::subject},
    {"time", &Event::time},
    {"datacontenttype", &Event::content_type},
    {"dataschema", &Event::data_schema},
};

Json parse_bounded(std::string_view text) {
  if (!nests_within_bounds(text)) return Json(Json::value_t::discarded);
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

bool holds_json(const Event& event) {
  return event.content_type.empty() || is_json_type(event.content_type);
}

void put_data(Json& json, const Event& event) {
  if (event.data.empty()) return;
  if (holds_json(event)) {
    if (Json data = parse_bounded(event.data); !data.is_discarded()) {
      json["data"] = std::move(data);
      return;
    }
  } else if (is_utf8(event.data)) {
    json["data"] = event.data;
    return;
  }
  json["data_base64"] = to_base64(event.data);
}

// "2018-04-05T17:31:00Z", with any fraction of a second, or with an offset instead of the Z.
bool is_rfc3339(std::string_view text) {
  const auto fits = [](std::string_view part, std::string_view shape) {
    if (part.size() != shape.size()) return false;
    for (std::size_t i = 0; i < part.size(); ++i) {
      const bool digit = part[i] >= '0' && part[i] <= '9';
      if (shape[i] == '0' ? !digit : part[i] != shape[i] && (part[i] & ~0x20) != shape[i])
        return false;
    }
    return true;
  };
  constexpr std::string_view kSeconds = "0000-00-00T00:00:00";
  if (!fits(text.substr(0, kSeconds.size()), kSeconds)) return false;
  text.remove_prefix(kSeconds.size());
  if (text.starts_with('.')) {
    const std::size_t end = text.find_first_not_of("0123456789", 1);
    if (end == std::string_view::npos || end == 1) return false;
    text.remove_prefix(end);
  }
  return fits(text, "Z") || fits(text, "+00:00") || fits(text, "-00:00");
}

// An extension's value as text; CloudEvents allows strings, numbers and booleans.
Result<std::string> extension_text(const std::string& name, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number_integer()) return value.dump();
  return reject("CloudEvents JSON: extension '" + to_utf8(name, 64) +
                "' must be a string, an integer or a boolean; what the event is about belongs into "
                "data");
}

Result<std::string> data_of(const Event& event, const Json& json) {
  const auto data = json.find("data");
  const auto base64 = json.find("data_base64");
  if (data != json.end() && base64 != json.end()) {
    return reject("CloudEvents JSON: data and data_base64 exclude each other");
  }
  if (base64 != json.end()) {
    if (!base64->is_string()) return reject("CloudEvents JSON: data_base64 must be a string");
    auto bytes = from_base64(base64->get_ref<const std::string&>());
    if (!bytes) return reject("CloudEvents JSON: data_base64 is not base64");
    return bytes;
  }
  if (data == json.end()) return std::string{};
  if (data->is_string() && !holds_json(event)) return data->get<std::string>();
  return data->dump();
}

}  // namespace

std::string to_cloudevents_json(const Event& event) {
  Json json;
  json["specversion"] = "1.0";
  for (const auto& [name, member] : kAttributes) {
    if (!(event.*member).empty()) json[name] = event.*member;
  }
  for (const auto& [name, value] : event.extensions) json[name] = value;
  put_data(json, event);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Event> from_cloudevents_json(std::string_view text) {
  const Json json = parse_bounded(text);
  if (json.is_discarded()) return reject("CloudEvents JSON: not JSON: " + json_fault(text));
  if (json.is_array()) {
    return reject(
        "CloudEvents JSON: an array is not one event; send several as "
        "application/cloudevents-batch+json");
  }
  if (!json.is_object()) return reject("CloudEvents JSON: not a JSON object");
  const auto version = json.find("specversion");
  if (version == json.end() || *version != "1.0") {
    return reject("CloudEvents JSON: specversion must be \"1.0\"");
  }
  Event event;
  for (const auto& [name, value] : json.items()) {
    if (name == "specversion" || name == "data" || name == "data_base64" || value.is_null())
      continue;
    const auto* attribute = std::find_if(std::begin(kAttributes), std::end(kAttributes),
                                         [&](const AttributeName& a) { return name == a.name; });
    if (attribute == std::end(kAttributes)) {
      auto extension = extension_text(name, value);
      if (!extension) return extension.error();
      event.extensions.emplace_back(name, std::move(*extension));
    } else if (value.is_string()) {
      event.*(attribute->member) = value.get<std::string>();
    } else {
      return reject("CloudEvents JSON: " + name + " must be a string");
    }
  }
  if (!event.time.empty() && !is_rfc3339(event.time)) {
    return reject("CloudEvents JSON: time is not RFC 3339, as 2026-11-28T12:00:00Z is: \"" +
                  to_utf8(event.time, 60) + '"');
  }
  auto data = data_of(event, json);
  if (!data) return data.error();
  event.data = std::move(*data);
  // One set of rules: what cannot travel packed is refused here already.
  if (const auto packed = view_event(pack(event)); !packed) return packed.error();
  return event;
}

}  // namespace fanfare::protocol
