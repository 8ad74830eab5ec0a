#include "sns_payload.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <nlohmann/json.hpp>

namespace notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kArn = "arn:aws:sns:local:000000000000:";
constexpr std::size_t kSubjectMax = 100;  // characters
constexpr std::size_t kTopicNameMax = 64;

bool is_hex_digit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex_digit(text[i])) return false;
  }
  return true;
}

// RFC 9562, section 5.5, in the namespace of URLs.
std::string uuid_of_name(std::string_view name) {
  constexpr std::string_view kNamespace{
      "\x6b\xa7\xb8\x11\x9d\xad\x11\xd1\x80\xb4\x00\xc0\x4f\xd4\x30\xc8", 16};
  const std::string content = std::string(kNamespace) + std::string(name);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  EVP_Digest(content.data(), content.size(), digest.data(), nullptr, EVP_sha1(), nullptr);
  digest[6] = static_cast<unsigned char>((digest[6] & 0x0F) | 0x50);
  digest[8] = static_cast<unsigned char>((digest[8] & 0x3F) | 0x80);
  std::string text;
  for (std::size_t i = 0; i < 16; ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += "0123456789abcdef"[digest[i] >> 4];
    text += "0123456789abcdef"[digest[i] & 15];
  }
  return text;
}

std::string message_id_of(const fanfare::Event& event) {
  if (is_uuid(event.ce_id)) return std::string(event.ce_id);
  std::string name(event.source);
  name += '\n';
  name += event.ce_id.empty() ? event.id : event.ce_id;
  if (event.ce_id.empty()) {
    name += '\n';
    name += event.data;
  }
  return uuid_of_name(name);
}

// It stands in a header, too: so nothing but the name of a topic.
std::string topic_arn_of(std::string_view source) {
  constexpr std::string_view kTopics = "/topics/";
  std::string_view name = source.starts_with(kTopics) ? source.substr(kTopics.size()) : "";
  const bool is_name =
      !name.empty() && name.size() <= kTopicNameMax && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
      });
  return std::string(kArn) + std::string(is_name ? name : "events");
}

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
}

std::string subject_of(std::string_view text) {
  constexpr std::string_view kCut = "...";  // ASCII, for receivers of the time when SNS's were
  std::string subject;
  std::size_t characters = 0, kept = 0;
  for (const char c : text) {
    if (begins_character(c) && ++characters == kSubjectMax - kCut.size() + 1) kept = subject.size();
    if (characters > kSubjectMax) return subject.substr(0, kept) + std::string(kCut);
    subject += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return subject;
}

// Fanfare's ids begin with the time of publishing, in Unix milliseconds.
std::string time_of(std::string_view id) {
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), ms);
  if (error != std::errc{} || ms < 0) return "";
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm parts{};
  if (!gmtime_r(&seconds, &parts)) return "";
  std::array<char, 64> text;
  const std::size_t size = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  const std::string fraction = std::to_string(1000 + ms % 1000);  // with its zeros
  return std::string(text.data(), size) + "." + fraction.substr(1) + "Z";
}

Json attribute_of(const Json& value) {
  const auto make = [](const char* type, std::string text) {
    return Json{{"Type", type}, {"Value", std::move(text)}};
  };
  if (value.is_string()) return make("String", value.get<std::string>());
  if (value.is_number()) return make("Number", value.dump());
  if (value.is_array()) return make("String.Array", value.dump());
  if (value.is_object() && value.size() == 1) {
    const auto bytes = value.find("base64");
    if (bytes != value.end() && bytes->is_string()) {
      return make("Binary", bytes->get<std::string>());
    }
  }
  return make("String", value.dump());
}

// Nothing if the event has none.
Json attributes_of(const fanfare::Event& event) {
  Json attributes;
  const std::string_view text = event.extension("attributes").value_or("");
  if (!is_json(text)) return attributes;
  const Json values = Json::parse(text);
  if (!values.is_object()) return attributes;
  for (const auto& [name, value] : values.items()) attributes[name] = attribute_of(value);
  return attributes;
}

std::string dumped(const Json& json) {
  try {
    return json.dump();
  } catch (const Json::type_error&) {  // the broker has seen to it that all the rest is UTF-8
    throw fanfare::Failure{"NotText",
                           "the data are not UTF-8 text, which is all that a message of format sns "
                           "carries; --format cloudevents carries any"}
        .retryable(false);
  }
}

}  // namespace

Payload sns_payload(const fanfare::Event& event) {
  const std::string id = message_id_of(event);
  const std::string topic_arn = topic_arn_of(event.source);
  Json message{{"Type", "Notification"}, {"MessageId", id}, {"TopicArn", topic_arn}};
  if (!event.subject.empty()) message["Subject"] = subject_of(event.subject);
  message["Message"] = event.data;
  message["Timestamp"] = event.time.empty() ? time_of(event.id) : std::string(event.time);
  if (Json attributes = attributes_of(event); !attributes.is_null()) {
    message["MessageAttributes"] = std::move(attributes);
  }
  return {dumped(message),
          {"content-type: text/plain; charset=UTF-8", "x-amz-sns-message-type: Notification",
           "x-amz-sns-message-id: " + id, "x-amz-sns-topic-arn: " + topic_arn}};
}

}  // namespace notify
