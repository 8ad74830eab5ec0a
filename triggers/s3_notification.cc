#include "triggers/s3_notification.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/sha256.h"
#include "base/time.h"
#include "protocol/json_text.h"
#include "triggers/storage_event.h"

namespace fanfare::triggers {
namespace {

using nlohmann::json;

constexpr std::size_t kBucketBytesMax = 255;

// The text at a path of names, or empty: absent, null and other types are all the same here.
std::string text_at(const json& from, std::initializer_list<const char*> names) {
  const json* at = &from;
  for (const char* name : names) {
    if (!at->is_object()) return {};
    const auto next = at->find(name);
    if (next == at->end()) return {};
    at = &*next;
  }
  return at->is_string() ? at->get<std::string>() : std::string{};
}

// ObjectCreated → created, ReducedRedundancyLostObject → reduced_redundancy_lost_object.
std::string kind_in_small_letters(std::string_view kind) {
  if (kind.starts_with("Object") && kind.size() > 6) kind.remove_prefix(6);
  std::string small;
  for (const char c : kind) {
    const bool capital = c >= 'A' && c <= 'Z';
    if (capital && !small.empty()) small += '_';
    small += capital ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return small;
}

bool is_event_name(std::string_view name) {
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ':' || c == '*';
  };
  return !name.empty() && name.size() <= 128 && name.front() != ':' &&
         std::ranges::all_of(name, is_fine);
}

std::string type_of(std::string_view event_name) {
  const std::string_view kind = event_name.substr(0, event_name.find(':'));
  if (kind == "LifecycleExpiration") return "storage.object.removed";
  return "storage.object." + kind_in_small_letters(kind);
}

// What names the change. Only PUTs and DELETEs have a sequencer; the request is named otherwise.
std::string id_of(const json& record, const std::string& event_name, const std::string& bucket,
                  const std::string& key) {
  std::string parts;
  const auto add = [&](const std::string& part) {
    parts += fmt::format("{}:{}", part.size(), part);
  };
  add(event_name);
  add(bucket);
  add(key);
  add(text_at(record, {"s3", "object", "versionId"}));
  const std::string sequencer = text_at(record, {"s3", "object", "sequencer"});
  add(sequencer);
  if (sequencer.empty()) {
    add(text_at(record, {"eventTime"}));
    add(text_at(record, {"responseElements", "x-amz-request-id"}));
  }
  return "s3-" + sha256_hex(parts).substr(0, 32);
}

Result<protocol::Event> event_of(const json& record) {
  const std::string version = text_at(record, {"eventVersion"});
  if (!version.starts_with("2.")) {
    return reject(version.empty() ? "eventVersion is missing: no S3 notification"
                                  : "eventVersion is \"" + version.substr(0, 32) +
                                        "\"; this release reads 2.x");
  }
  std::string name = text_at(record, {"eventName"});
  if (name.starts_with("s3:")) name.erase(0, 3);  // MinIO's are
  if (!is_event_name(name))
    return reject("eventName is missing or no name, as ObjectCreated:Put is");
  const std::string bucket = text_at(record, {"s3", "bucket", "name"});
  if (bucket.empty() || bucket.size() > kBucketBytesMax) {
    return reject("s3.bucket.name is missing or too long");
  }
  const auto key = decode_storage_key(text_at(record, {"s3", "object", "key"}));
  if (!key) return reject("s3.object.key is not URL-encoded: % must be followed by two digits");
  if (!is_storage_key(bucket, *key)) {
    return reject(fmt::format("s3.object.key is missing or over {} bytes", kStorageKeyBytesMax));
  }
  const std::string time = text_at(record, {"eventTime"});
  if (!time.empty() && !parse_wall_time(time))
    return reject("eventTime is no RFC 3339 time, as 2026-11-28T12:00:00Z is");

  protocol::Event event;
  event.type = type_of(name);
  event.source = "/storage/" + encode_storage_key(bucket);
  event.subject = storage_subject(encode_storage_key(bucket), *key);
  event.id = id_of(record, name, bucket, *key);
  event.time = time;
  event.content_type = "application/json";
  event.data = json{{"Records", json::array({record})}}.dump();
  return event;
}

Result<S3Notification> read_within(const json& document, int depth);

Result<S3Notification> read_message(const std::string& message, int depth) {
  if (depth > 1) return reject("an SNS notification within another one");
  if (!protocol::nests_within_bounds(message)) return reject("Message nests too deep");
  const json inner = json::parse(message, nullptr, false);
  if (inner.is_discarded()) return reject("Message of the SNS notification is not JSON");
  return read_within(inner, depth + 1);
}

Result<S3Notification> read_records(const json& records, int depth) {
  if (!records.is_array() || records.empty()) return reject("Records is not an array of records");
  if (records.size() > kS3RecordsMax) {
    return reject(fmt::format("{} records; {} at most", records.size(), kS3RecordsMax));
  }
  S3Notification all;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const json& record = records[i];
    if (text_at(record, {"EventSource"}) == "aws:sns") {
      auto inner = read_message(text_at(record, {"Sns", "Message"}), depth);
      if (!inner) return reject(fmt::format("Records[{}]: {}", i, inner.error().message));
      std::ranges::move(inner->events, std::back_inserter(all.events));
      all.is_test = all.is_test || inner->is_test;
      continue;
    }
    auto event = event_of(record);
    if (!event) return reject(fmt::format("Records[{}]: {}", i, event.error().message));
    all.events.push_back(*std::move(event));
  }
  return all;
}

Result<S3Notification> read_within(const json& document, int depth) {
  if (const auto records = document.find("Records"); records != document.end()) {
    return read_records(*records, depth);
  }
  S3Notification notification;
  if (text_at(document, {"Event"}) == "s3:TestEvent") {
    notification.is_test = true;
    return notification;
  }
  const std::string type = text_at(document, {"Type"});
  if (type == "Notification") return read_message(text_at(document, {"Message"}), depth);
  if (type == "SubscriptionConfirmation") {
    notification.subscribe_url = text_at(document, {"SubscribeURL"});
    if (notification.subscribe_url.empty()) return reject("SubscribeURL is missing");
    return notification;
  }
  return reject(
      "no S3 notification: it has neither Records nor, as SNS sends them, Type and Message. Other "
      "events are sent to /events, notifications to /topics/TOPIC");
}

}  // namespace

Result<S3Notification> read_s3_notification(std::string_view text) {
  if (!protocol::nests_within_bounds(text)) return reject("the JSON nests too deep");
  const json document = json::parse(text, nullptr, false);
  if (document.is_discarded()) {
    return reject("the body is not JSON: " + protocol::json_fault(text));
  }
  if (!document.is_object()) return reject("the body is not a JSON object");
  return read_within(document, 0);
}

}  // namespace fanfare::triggers
