// Amazon SNS's messages, as SNS posts them to HTTP(S) subscribers: read, so that what was made for
// SNS works with topics here. functions/notify/sns_payload.h writes them.
//
// Pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/event.h"

namespace fanfare::protocol {

struct SnsMessage {
  enum class Kind { kNotification, kSubscriptionConfirmation, kUnsubscribeConfirmation };
  Kind kind = Kind::kNotification;
  std::string id, topic_arn, subject, message;
  std::string timestamp;      // RFC 3339
  std::string subscribe_url;  // of the confirmations: a GET of it subscribes (again)
  std::string attributes;     // as notification_attributes.h has them; empty: none
  bool operator==(const SnsMessage&) const = default;
};

// {"Type":"Notification","MessageId":…,"TopicArn":…,"Subject":…,"Message":…,"Timestamp":…,
//  "MessageAttributes":{NAME:{"Type":"String","Value":…}}}
// Of the types String and String.Array become text and array, Number a number, Binary the object
// {"base64":…}, which no filter policy sees, as in SNS. kReject names the member that is wrong.
// Signatures are not looked at: who may post is the route's business.
Result<SnsMessage> parse_sns_message(std::string_view json);

// The event of a notification to a topic: its id, subject, time and attributes, with the message as
// data: JSON if it is JSON, else text.
Event event_of(const SnsMessage& message, std::string_view topic);

}  // namespace fanfare::protocol
