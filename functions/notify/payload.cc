#include "payload.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>

#include "sns_payload.h"

namespace notify {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kDepthMax = 256;

std::string lower_case(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

bool is_json_type(std::string_view content_type) {
  std::string type = lower_case(content_type.substr(0, content_type.find(';')));
  type.erase(type.find_last_not_of(" \t") + 1);
  return type.empty() || type.ends_with("/json") || type.ends_with("+json");
}

bool nests_within_bounds(std::string_view text) {
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_text) {
      if (c == '\\') ++i;
      if (c == '"') in_text = false;
    } else if (c == '"') {
      in_text = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDepthMax) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return true;
}

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // with the zero that is written behind
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(bytes.data()),
                                   static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

// As a JSON text; nothing if it is no UTF-8.
std::optional<std::string> quoted(std::string_view text) {
  try {
    return Json(text).dump();
  } catch (const Json::type_error&) {
    return std::nullopt;
  }
}

// `"data":…`, or `"data_base64":…`, of a JSON object.
std::string data_member(const fanfare::Event& event) {
  if (is_json_type(event.content_type)) {
    if (is_json(event.data)) return "\"data\":" + std::string(event.data);
  } else if (const auto text = quoted(event.data)) {
    return "\"data\":" + *text;
  }
  return "\"data_base64\":\"" + to_base64(event.data) + '"';
}

// An object with the data behind its other members, of which there is one at least.
std::string with_data(const Json& members, const fanfare::Event& event) {
  std::string body = members.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (event.data.empty()) return body;
  body.pop_back();
  return body + ',' + data_member(event) + '}';
}

// CloudEvents wants source and id together to be unique: the publisher's id, if it gave one.
std::string_view cloud_id(const fanfare::Event& event) {
  return event.ce_id.empty() ? event.id : event.ce_id;
}

Payload plain(const fanfare::Event& event, const std::string& text) {
  if (!event.data.empty() && is_json_type(event.content_type) && !is_json(event.data)) {
    throw fanfare::Failure{"MalformedNotification", "the data is not JSON"}.retryable(false);
  }
  Json members{{"type", event.type}, {"source", event.source}};
  if (!event.subject.empty()) members["subject"] = event.subject;
  if (!event.time.empty()) members["timestamp"] = event.time;
  if (!text.empty()) members["text"] = text;
  return {with_data(members, event), {"content-type: application/json"}};
}

Payload structured(const fanfare::Event& event) {
  Json members{{"specversion", "1.0"},
               {"id", cloud_id(event)},
               {"source", event.source},
               {"type", event.type}};
  const auto put = [&](std::string_view name, std::string_view value) {
    if (!value.empty()) members[std::string(name)] = value;
  };
  put("subject", event.subject);
  put("time", event.time);
  put("datacontenttype", event.content_type);
  put("dataschema", event.data_schema);
  for (const auto& [name, value] : event.extensions) put(name, value);
  return {with_data(members, event), {"content-type: application/cloudevents+json; charset=utf-8"}};
}

// Section 3.1.3.2 of the HTTP binding: what is not printable ASCII, and blanks, quotes and
// percents, as %XX.
std::string header_value(std::string_view value) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '%') {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      encoded += c;
    }
  }
  return encoded;
}

// A publisher's: it must not become other headers.
std::string content_type_header(std::string_view type) {
  const bool printable = std::ranges::all_of(type, [](char c) { return c >= 0x20 && c <= 0x7e; });
  if (type.empty()) type = "application/json";
  return "content-type: " + std::string(printable ? type : "application/octet-stream");
}

Payload binary(const fanfare::Event& event) {
  Payload payload{std::string(event.data), {"ce-specversion: 1.0"}};
  const auto put = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    payload.headers.push_back("ce-" + std::string(name) + ": " + header_value(value));
  };
  put("id", cloud_id(event));
  put("source", event.source);
  put("type", event.type);
  put("subject", event.subject);
  put("time", event.time);
  put("dataschema", event.data_schema);
  for (const auto& [name, value] : event.extensions) put(name, value);
  payload.headers.push_back(content_type_header(event.content_type));
  return payload;
}

}  // namespace

Format format_called(std::string_view name) {
  if (name.empty() || name == "event") return Format::kEvent;
  if (name == "cloudevents") return Format::kCloudEvents;
  if (name == "cloudevents-binary") return Format::kCloudEventsBinary;
  if (name == "sns") return Format::kSns;
  throw fanfare::Failure{"ConfigError",
                         "NOTIFY_FORMAT is '" + std::string(name) +
                             "'; it is event, cloudevents, cloudevents-binary or sns"}
      .retryable(false);
}

Payload payload_of(Format format, const fanfare::Event& event, const std::string& text) {
  if (format == Format::kCloudEvents) return structured(event);
  if (format == Format::kCloudEventsBinary) return binary(event);
  if (format == Format::kSns) return sns_payload(event);
  return plain(event, text);
}

// The parser takes a zero byte for the end, and a byte order mark for nothing; neither is JSON.
bool is_json(std::string_view bytes) {
  return bytes.find('\0') == bytes.npos && !bytes.starts_with('\xEF') &&
         nests_within_bounds(bytes) && nlohmann::json::accept(bytes);
}

}  // namespace notify
