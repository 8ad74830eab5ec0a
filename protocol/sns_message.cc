#include "protocol/sns_message.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/time.h"
#include "protocol/filter_policy.h"
#include "protocol/json_text.h"
#include "protocol/notification_attributes.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {
namespace {

using nlohmann::ordered_json;

constexpr std::string_view kArn = "arn:aws:sns:local:000000000000:";

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

ordered_json attribute_json(const ordered_json& value) {
  const auto make = [](std::string_view type, std::string text) {
    return ordered_json{{"Type", type}, {"Value", std::move(text)}};
  };
  if (value.is_string()) return make("String", value.get<std::string>());
  if (value.is_number()) return make("Number", value.dump());
  if (value.is_array()) return make("String.Array", value.dump());
  if (const auto bytes = value.find("base64"); bytes != value.end() && bytes->is_string()) {
    return make("Binary", bytes->get<std::string>());
  }
  return make("String", value.dump());
}

// The members that both shapes have, in SNS's order.
ordered_json json_of(const SnsMessage& message) {
  ordered_json json{
      {"Type", "Notification"}, {"MessageId", message.id}, {"TopicArn", message.topic_arn}};
  if (!message.subject.empty()) json["Subject"] = message.subject;
  json["Message"] = message.message;
  json["Timestamp"] = message.timestamp;
  const ordered_json attributes = parse(message.attributes);
  if (!attributes.is_object() || attributes.empty()) return json;
  for (const auto& [name, value] : attributes.items()) {
    json["MessageAttributes"][name] = attribute_json(value);
  }
  return json;
}

std::string dumped(const ordered_json& json) {
  return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace

Result<SnsMessage> parse_sns_message(std::string_view text) {
  const ordered_json json = parse(text);
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

std::string to_sns_json(const SnsMessage& message) {
  return dumped(json_of(message));
}

std::string to_sns_records_json(const SnsMessage& message, std::string_view subscriber) {
  ordered_json record{{"EventSource", "aws:sns"},
                      {"EventVersion", "1.0"},
                      {"EventSubscriptionArn", fmt::format("{}:{}", message.topic_arn, subscriber)},
                      {"Sns", json_of(message)}};
  return dumped({{"Records", ordered_json::array({std::move(record)})}});
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

Result<SnsMessage> sns_message_of(const Event& event, std::string_view id) {
  if (!is_utf8(event.data)) {
    return reject("the data is not text, which is all that an SNS message carries");
  }
  constexpr std::string_view kTopics = "/topics/";
  SnsMessage message;
  message.id = event.id.empty() ? id : event.id;
  message.topic_arn = kArn;
  message.topic_arn +=
      event.source.starts_with(kTopics) ? event.source.substr(kTopics.size()) : "events";
  message.subject = event.subject;
  message.message = event.data;
  message.timestamp = event.time;
  for (const auto& [name, value] : event.extensions) {
    if (name == kNotificationAttributes && parse(value).is_object()) message.attributes = value;
  }
  return message;
}

}  // namespace fanfare::protocol
