// Amazon SNS's messages: as SNS posts them to HTTP(S) subscribers, and as it hands them to Lambda
// functions. Read and written, so that what was made for SNS works with topics here.
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

// The same shape of a notification, without the signature that only SNS could make.
std::string to_sns_json(const SnsMessage& message);
// {"Records":[{"EventSource":"aws:sns","EventVersion":"1.0","EventSubscriptionArn":…,"Sns":{…}}]}
std::string to_sns_records_json(const SnsMessage& message, std::string_view subscriber);

// The event of a notification to a topic: its id, subject, time and attributes, with the message as
// data: JSON if it is JSON, else text.
Event event_of(const SnsMessage& message, std::string_view topic);
// And back. `id` stands in for an event that has none of its own. kReject: SNS carries text, and
// the data is none.
Result<SnsMessage> sns_message_of(const Event& event, std::string_view id);

}  // namespace fanfare::protocol
