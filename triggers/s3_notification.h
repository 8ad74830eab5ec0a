// S3's bucket notifications, as AWS and MinIO send them, as events.
//
// Taken are: {"Records":[…]} of version 2.x; the same within an SNS notification, as SNS posts it
// ({"Type":"Notification","Message":"…"}) or hands it to functions ({"Records":[{"Sns":…}]}); and
// s3:TestEvent, which is nothing but a good sign.
//
// Each record becomes one event: source `/storage/{bucket}`, subject `{bucket}/{key}` with the key
// decoded, time its eventTime, data {"Records":[that record]} as it came. Types: ObjectCreated:* is
// `storage.object.created`, ObjectRemoved:* and LifecycleExpiration:* `storage.object.removed`, any
// other kind its own name in small letters (ObjectTagging:Put: `storage.object.tagging`).
//
// S3 sends at least once. An event's id is made of what names the change (kind, bucket, key,
// version, sequencer), so a notification that is sent again within the broker's dedup_window is a
// duplicate.
//
// Pure function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "protocol/event.h"

namespace fanfare::triggers {

inline constexpr std::size_t kS3RecordsMax = 1000;

struct S3Notification {
  std::vector<protocol::Event> events;
  bool is_test = false;       // s3:TestEvent: no events
  std::string subscribe_url;  // SNS asks whether it may: whoever is willing GETs this; no events
};

// kReject, saying where and why, if it is none of these; then none of its events counts.
Result<S3Notification> read_s3_notification(std::string_view json);

}  // namespace fanfare::triggers
