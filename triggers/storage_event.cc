#include "triggers/storage_event.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/sha256.h"
#include "base/utf8.h"
#include "protocol/json_text.h"

namespace fanfare::triggers {
namespace {

constexpr std::size_t kSubjectBytesMax = 2048;

bool is_plain_in_key(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '*' || c == '/';
}

int hex_digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_clean_text(std::string_view text) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  return is_utf8(text) && std::ranges::none_of(text, is_control);
}

// What stands for the content, for who compares. "-1" is how S3 marks one that is no MD5.
std::string entity_tag(const FileVersion& version) {
  const auto hex = sha256_hex(fmt::format(
      "{:x} {:x} {:x}", version.inode, static_cast<std::uint64_t>(version.mtime_ns), version.size));
  return hex.substr(0, 32) + "-1";
}

std::string as_json_string(std::string_view text) {
  std::string quoted;
  protocol::append_json_string(quoted, text);
  return quoted;
}

std::string object_json(const Announcement& announcement) {
  std::string text =
      fmt::format("{{\"key\":{}", as_json_string(encode_storage_key(announcement.path)));
  if (announcement.change == StorageChange::kCreated) {
    text += fmt::format(",\"size\":{},\"eTag\":\"{}\"", announcement.version.size,
                        entity_tag(announcement.version));
  }
  return text + fmt::format(",\"sequencer\":\"{:016X}\"}}", announcement.sequencer);
}

}  // namespace

std::string encode_storage_key(std::string_view key) {
  std::string encoded;
  for (const char c : key) {
    if (is_plain_in_key(c)) {
      encoded += c;
    } else if (c == ' ') {
      encoded += '+';
    } else {
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return encoded;
}

std::optional<std::string> decode_storage_key(std::string_view encoded) {
  std::string key;
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] != '%') {
      key += encoded[i] == '+' ? ' ' : encoded[i];
      continue;
    }
    if (i + 2 >= encoded.size()) return std::nullopt;
    const int high = hex_digit_of(encoded[i + 1]), low = hex_digit_of(encoded[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    key += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return key;
}

std::string storage_subject(std::string_view bucket, std::string_view key) {
  return fmt::format("{}/{}", bucket,
                     is_clean_text(key) ? std::string(key) : encode_storage_key(key));
}

bool is_storage_key(std::string_view bucket, std::string_view key) {
  return !key.empty() && key.size() <= kStorageKeyBytesMax &&
         storage_subject(bucket, key).size() <= kSubjectBytesMax;
}

bool is_bucket_name(std::string_view name) {
  const auto is_fine = [](char c) { return is_plain_in_key(c) && c != '*' && c != '/'; };
  return !name.empty() && name.size() <= 63 && name.front() != '.' &&
         std::ranges::all_of(name, is_fine);
}

protocol::Event to_event(std::string_view bucket, const StorageBatch& batch,
                         const Announcement& announcement, const StorageEventOptions& options) {
  const bool created = announcement.change == StorageChange::kCreated;
  const FileVersion& version = announcement.version;
  const std::string time = format_wall_time(wall_from_ms(batch.at_ms));
  protocol::Event event;
  event.type = created ? "storage.object.created" : "storage.object.removed";
  event.source = fmt::format("/storage/{}", bucket);
  event.subject = storage_subject(bucket, announcement.path);
  event.id = fmt::format("{}{:x}-{:x}-{:x}-{:x}-{:016X}", created ? "" : "removed-", version.device,
                         version.inode, static_cast<std::uint64_t>(version.mtime_ns), version.size,
                         announcement.sequencer);
  event.time = time;
  event.content_type = "application/json";
  event.data = fmt::format(
      R"({{"Records":[{{"eventVersion":"2.1","eventSource":"fanfare:storage","awsRegion":"",)"
      R"("eventTime":"{}","eventName":"{}","userIdentity":{{"principalId":""}},)"
      R"("requestParameters":{{"sourceIPAddress":""}},"responseElements":{{}},)"
      R"("s3":{{"s3SchemaVersion":"1.0","configurationId":"{}","bucket":{{"name":"{}",)"
      R"("ownerIdentity":{{"principalId":""}},"arn":"arn:aws:s3:::{}"}},"object":{}}}}}]}})",
      time, created ? "ObjectCreated:Put" : "ObjectRemoved:Delete", bucket, bucket, bucket,
      object_json(announcement));
  if (options.ordered) {
    // Ordering keys take 1 KiB; a hash of a longer one orders as well.
    event.options.ordering_key =
        event.subject.size() <= 1024 ? event.subject : sha256_hex(event.subject);
  }
  return event;
}

}  // namespace fanfare::triggers
