// What Amazon SNS posts to its HTTP(S) subscribers, of any event.
//
// {"Type":"Notification","MessageId":…,"TopicArn":"arn:aws:sns:local:000000000000:TOPIC",
//  "Subject":…,"Message":…,"Timestamp":…,"MessageAttributes":{NAME:{"Type":…,"Value":…}}}
// and SNS's headers. It has no Signature, which only SNS could make.
#pragma once

#include <fanfare/function.h>

#include "payload.h"

namespace notify {

//   MessageId   a UUID, as SNS's are. The publisher's id if that is one: what SNS or another
//               gateway has sent keeps it, so that a circle of topics ends with a duplicate. Else
//               made of source and id (RFC 9562, version 5), since receivers know a message by
//               its MessageId alone, and ids are unique within their source only. Without an id of
//               the publisher's: of source, Fanfare's id and the data, since two installations may
//               give the same id to what is published in the same millisecond.
//   TopicArn    TOPIC of the source /topics/TOPIC; "events" of any other source.
//   Subject     on one line, 100 characters at most, as SNS has it: control characters become
//               blanks, and of a longer one 97 and "..." are sent. Left out if there is none.
//   Message     the data, byte by byte.
//   Timestamp   the event's time; of one that has none, when it was published.
//   MessageAttributes  the extension `attributes`, if it is a JSON object: texts as String, numbers
//               as Number, arrays as String.Array, {"base64":…} as Binary, anything else as a
//               String of its JSON.
// Throws fanfare::Failure NotText, not retryable: the data are no UTF-8, which is all that a
// message of SNS carries.
Payload sns_payload(const fanfare::Event& event);

}  // namespace notify
