// The JSON view of an event that patterns are matched against.
#include <simdjson.h>

#include "protocol/event.h"
#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"
#include "protocol/pattern_match.h"

namespace fanfare::protocol {
namespace {

void append_member(std::string& json, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  if (json.size() > 1) json += ',';
  append_json_string(json, name);
  json += ':';
  append_json_string(json, value);
}

// Whoever matches reads the result with simdjson, so what it cannot read must not get in: the
// patterns over attributes would be lost with it.
bool is_json(const EventView& event) {
  const bool may_be = event.content_type.empty() || is_json_type(event.content_type);
  if (!may_be || event.data.empty() || !nests_within_bounds(event.data)) return false;
  simdjson::dom::parser parser;
  return parser.parse(event.data.data(), event.data.size()).error() == simdjson::SUCCESS;
}

bool is_object(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  return parse_attributes(parser, text, object);
}

}  // namespace

std::string to_pattern_json(const EventView& event) {
  std::string json;
  json.reserve(128 + event.data.size());
  json += '{';
  append_member(json, "type", event.type);
  append_member(json, "source", event.source);
  append_member(json, "subject", event.subject);
  append_member(json, "id", event.id);
  append_member(json, "time", event.time);
  append_member(json, "datacontenttype", event.content_type);
  append_member(json, "dataschema", event.data_schema);
  for (const auto& [name, value] : view_extensions(event)) {
    if (name == kNotificationAttributes && is_object(value)) {
      json += ",\"attributes\":";
      json += value;
    } else {
      append_member(json, name, value);
    }
  }
  if (is_json(event)) {
    json += ",\"data\":";
    json += event.data;
  }
  json += '}';
  return json;
}

}  // namespace fanfare::protocol
