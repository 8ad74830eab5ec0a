// The events of a bucket: what an announcement looks like to functions.
//
// Type `storage.object.created` or `storage.object.removed`, source `/storage/{bucket}`, subject
// `{bucket}/{key}`, data a notification in the shape of S3's (version 2.1) with one record.
//
// Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/event.h"
#include "triggers/storage_ledger.h"

namespace fanfare::triggers {

inline constexpr std::size_t kStorageKeyBytesMax = 1024;  // as S3 has it

// As S3 writes keys in notifications: letters, digits and -._*/ stand for themselves, a space is a
// plus, everything else is %XX.
std::string encode_storage_key(std::string_view key);
// And back; nothing if a % is not followed by two hexadecimal digits.
std::optional<std::string> decode_storage_key(std::string_view encoded);

// The subject of a key: as it is, or encoded if it is not UTF-8 (or has control characters in it),
// so that it can be an attribute.
std::string storage_subject(std::string_view bucket, std::string_view key);

// Whether a key can be announced: 1 to 1,024 bytes, and not more in its subject than events take.
bool is_storage_key(std::string_view bucket, std::string_view key);
// [a-zA-Z0-9._-]{1,63}, not beginning with a dot: safe in file names.
bool is_bucket_name(std::string_view name);

struct StorageEventOptions {
  // Events of one object run one after the other, in order: its key becomes the ordering key.
  bool ordered = false;
};

// The same announcement gives the same event, byte for byte. Its id names device, inode,
// modification time and size, and its sequencer.
protocol::Event to_event(std::string_view bucket, const StorageBatch& batch,
                         const Announcement& announcement, const StorageEventOptions& options);

}  // namespace fanfare::triggers
