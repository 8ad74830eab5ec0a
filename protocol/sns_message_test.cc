#include "protocol/sns_message.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fanfare::protocol {
namespace {

using nlohmann::json;

// As in SNS's developer guide, with attributes.
const std::string kNotification = R"({
  "Type" : "Notification",
  "MessageId" : "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  "TopicArn" : "arn:aws:sns:us-west-2:123456789012:orders",
  "Subject" : "My First Message",
  "Message" : "{\"total\": 12.50}",
  "Timestamp" : "2026-05-02T00:54:06.655Z",
  "SignatureVersion" : "1",
  "Signature" : "EXAMPLEw6JRN...",
  "SigningCertURL" : "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem",
  "UnsubscribeURL" : "https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe",
  "MessageAttributes" : {
    "store" : {"Type":"String","Value":"example_corp"},
    "customer_interests" : {"Type":"String.Array","Value":"[\"soccer\", \"rugby\", 7, true]"},
    "price_usd" : {"Type":"Number","Value":"210.750"},
    "huge" : {"Type":"Number","Value":"123456789012345678901234567890"},
    "picture" : {"Type":"Binary","Value":"AAECAw=="}
  }
})";

std::string why_no_message(const std::string& text) {
  const auto read = parse_sns_message(text);
  return read ? "it is taken" : read.error().message;
}
std::string without(const char* member) {
  json message = json::parse(kNotification);
  message.erase(member);
  return message.dump();
}

TEST(SnsMessage, ANotificationBecomesAnEvent) {
  const auto message = parse_sns_message(kNotification);
  ASSERT_TRUE(message) << message.error().message;
  const Event event = event_of(*message, "orders");
  EXPECT_EQ(event.type, "notification.published");
  EXPECT_EQ(event.source, "/topics/orders");
  EXPECT_EQ(event.id, "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324");
  EXPECT_EQ(event.subject, "My First Message");
  EXPECT_EQ(event.time, "2026-05-02T00:54:06.655Z");
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(event.data, R"({"total": 12.50})");
  ASSERT_EQ(event.extensions.size(), 1u);
  EXPECT_EQ(event.extensions[0].second,
            R"({"store":"example_corp","customer_interests":["soccer","rugby",7,true],)"
            R"("price_usd":210.750,"huge":"123456789012345678901234567890",)"
            R"("picture":{"base64":"AAECAw=="}})");
  EXPECT_TRUE(view_event(pack(event)));
}

TEST(SnsMessage, TextIsTextAndJsonIsJson) {
  const auto type_of = [](const std::string& text) {
    return event_of({.id = "1", .message = text}, "t").content_type;
  };
  EXPECT_EQ(type_of("Hello"), "text/plain; charset=utf-8");
  EXPECT_EQ(type_of(""), "text/plain; charset=utf-8");
  EXPECT_EQ(type_of("{\"a\":"), "text/plain; charset=utf-8");
  EXPECT_EQ(type_of(" [1]"), "application/json");
  EXPECT_EQ(type_of(std::string(1000, '[') + std::string(1000, ']')), "text/plain; charset=utf-8");
}

TEST(SnsMessage, AConfirmationSaysWhereToConfirm) {
  const auto message = parse_sns_message(
      R"({"Type":"SubscriptionConfirmation","MessageId":"1","Token":"t","TopicArn":"arn:aws:sns:x:1:o",)"
      R"("Message":"You have chosen…","SubscribeURL":"https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=t",)"
      R"("Timestamp":"2026-04-26T20:45:04.751Z"})");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->kind, SnsMessage::Kind::kSubscriptionConfirmation);
  EXPECT_EQ(message->subscribe_url,
            "https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription&Token=t");
}

TEST(SnsMessage, NamesWhatIsWrong) {
  EXPECT_EQ(why_no_message("Hello").substr(0, 42), "the body is not JSON: line 1, column 1: sy");
  EXPECT_EQ(why_no_message("[]"), "the body is not a JSON object");
  EXPECT_EQ(why_no_message(std::string(5000, '{')), "the body is not JSON: it nests over 256 deep");
  EXPECT_EQ(why_no_message(without("Type")),
            "Type is none of Notification, SubscriptionConfirmation and UnsubscribeConfirmation");
  EXPECT_EQ(why_no_message(without("MessageId")), "MessageId is missing");
  EXPECT_EQ(why_no_message(without("Message")), "Message is missing");
  EXPECT_EQ(why_no_message(R"({"Type":"Notification","MessageId":1})"), "MessageId is not a text");
  EXPECT_EQ(
      why_no_message(R"({"Type":"Notification","MessageId":"1","Timestamp":"today","Message":""})"),
      "Timestamp is no RFC 3339 time");
  EXPECT_EQ(why_no_message(R"({"Type":"UnsubscribeConfirmation","MessageId":"1"})"),
            "SubscribeURL is missing");
  const auto attributes = [](const std::string& text) {
    return why_no_message(
        R"({"Type":"Notification","MessageId":"1","Message":"","MessageAttributes":)" + text + "}");
  };
  EXPECT_EQ(attributes("[1]"), "MessageAttributes is not an object");
  EXPECT_EQ(attributes(R"({"a":"b"})"), "MessageAttributes.a is not an object");
  EXPECT_EQ(attributes(R"({"a":{"Value":"b"}})"), "MessageAttributes.a: Type is missing");
  EXPECT_EQ(attributes(R"({"a":{"Type":"String","Value":7}})"),
            "MessageAttributes.a: Value is not a text");
  EXPECT_EQ(attributes(R"({"a":{"Type":"String","Value":")" + std::string(9000, 'x') + "\"}}"),
            "MessageAttributes are over 8192 bytes");
  EXPECT_EQ(attributes("{}"), "it is taken");
}

}  // namespace
}  // namespace fanfare::protocol
