#include "protocol/sns_message.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/time.h"
#include "protocol/filter_policy.h"
#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"

namespace fanfare::protocol {
namespace {

using nlohmann::ordered_json;

ordered_json parse(std::string_view text) {
  if (!nests_within_bounds(text)) return ordered_json(ordered_json::value_t::discarded);
  return ordered_json::parse(text, nullptr, /*allow_exceptions=*/false);
}

// Absent, null and a text; anything else is wrong.
Result<std::string> text_of(const ordered_json& object, const char* name) {
  const auto at = object.find(name);
  if (at == object.end() || at->is_null()) return std::string{};
  if (!at->is_string()) return reject(fmt::format("{} is not a text", name));
  return at->get<std::string>();
}

// A number that every reader takes: one that is written as an integer fits into 64 bits.
bool is_number(const std::string& text) {
  const ordered_json parsed = ordered_json::parse(text, nullptr, false);
  if (!parsed.is_number()) return false;
  return !parsed.is_number_float() || text.find_first_of(".eE") != text.npos;
}

Result<std::string> value_of(const std::string& name, const ordered_json& attribute) {
  const auto type = text_of(attribute, "Type");
  if (!type) return reject(fmt::format("MessageAttributes.{}: {}", name, type.error().message));
  const auto value = text_of(attribute, "Value");
  if (!value) return reject(fmt::format("MessageAttributes.{}: {}", name, value.error().message));
  if (type->empty()) return reject(fmt::format("MessageAttributes.{}: Type is missing", name));
  if (type->starts_with("Number") && is_number(*value)) return *value;
  if (*type == "String.Array") {
    if (const ordered_json parsed = parse(*value); parsed.is_array()) return parsed.dump();
  }
  std::string json;
  append_json_string(json, *value);
  return type->starts_with("Binary") ? "{\"base64\":" + json + "}" : json;
}

Result<std::string> attributes_of(const ordered_json& message) {
  const auto at = message.find("MessageAttributes");
  if (at == message.end() || at->is_null()) return std::string{};
  if (!at->is_object()) return reject("MessageAttributes is not an object");
  std::string json;
  for (const auto& [name, attribute] : at->items()) {
    if (!attribute.is_object()) {
      return reject(fmt::format("MessageAttributes.{} is not an object", name));
    }
    auto value = value_of(name, attribute);
    if (!value) return value.error();
    json += json.empty() ? '{' : ',';
    append_json_string(json, name);
    json += ':';
    json += *value;
  }
  if (json.empty()) return json;
  json += '}';
  if (json.size() > kNotificationAttributesMax) {
    return reject(fmt::format("MessageAttributes are over {} bytes", kNotificationAttributesMax));
  }
  return json;
}

}  // namespace

Result<SnsMessage> parse_sns_message(std::string_view text) {
  const ordered_json json = parse(text);
  if (json.is_discarded()) return reject("the body is not JSON: " + json_fault(text));
  if (!json.is_object()) return reject("the body is not a JSON object");
  const auto type = text_of(json, "Type");
  if (!type) return type.error();
  SnsMessage message;
  if (*type == "SubscriptionConfirmation") {
    message.kind = SnsMessage::Kind::kSubscriptionConfirmation;
  } else if (*type == "UnsubscribeConfirmation") {
    message.kind = SnsMessage::Kind::kUnsubscribeConfirmation;
  } else if (*type != "Notification") {
    return reject(
        "Type is none of Notification, SubscriptionConfirmation and UnsubscribeConfirmation");
  }
  const std::pair<const char*, std::string SnsMessage::*> members[] = {
      {"MessageId", &SnsMessage::id},        {"TopicArn", &SnsMessage::topic_arn},
      {"Subject", &SnsMessage::subject},     {"Message", &SnsMessage::message},
      {"Timestamp", &SnsMessage::timestamp}, {"SubscribeURL", &SnsMessage::subscribe_url}};
  for (const auto& [name, member] : members) {
    auto read = text_of(json, name);
    if (!read) return read.error();
    message.*member = *std::move(read);
  }
  if (message.id.empty()) return reject("MessageId is missing");
  if (!message.timestamp.empty() && !parse_wall_time(message.timestamp)) {
    return reject("Timestamp is no RFC 3339 time");
  }
  if (message.kind != SnsMessage::Kind::kNotification) {
    if (message.subscribe_url.empty()) return reject("SubscribeURL is missing");
    return message;
  }
  if (!json.contains("Message")) return reject("Message is missing");
  auto attributes = attributes_of(json);
  if (!attributes) return attributes.error();
  message.attributes = *std::move(attributes);
  return message;
}

Event event_of(const SnsMessage& message, std::string_view topic) {
  Event event;
  event.type = kNotificationType;
  event.source = source_of_topic(topic);
  event.id = message.id;
  event.subject = message.subject;
  event.time = message.timestamp;
  const bool is_json = !parse(message.message).is_discarded();
  event.content_type = is_json ? "application/json" : "text/plain; charset=utf-8";
  event.data = message.message;
  if (!message.attributes.empty())
    event.extensions.emplace_back(kNotificationAttributes, message.attributes);
  return event;
}

}  // namespace fanfare::protocol
