#include "functions/notify/sns_payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "functions/notify/test_support.h"
#include "protocol/event.h"
#include "protocol/sns_message.h"

namespace notify {
namespace {

using fanfare::Event;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Event notification() {
  return {.id = "1785600000125-2.0",
          .ce_id = "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
          .source = "/topics/orders",
          .type = "notification.published",
          .subject = "My First Message",
          .time = "2026-05-02T00:54:06.655Z",
          .content_type = "application/json",
          .data = R"({"total": 12.50})",
          .extensions = {{"attributes",
                          R"({"store":"example_corp","interests":["soccer",7,true],"price":210.75,)"
                          R"("picture":{"base64":"AAECAw=="},"paid":true,"none":null})"}}};
}

json body_of(const Event& event) {
  return json::parse(sns_payload(event).body);
}
json message_id_of_event(std::string_view source, std::string_view ce_id) {
  return body_of({.id = "1-2.0", .ce_id = ce_id, .source = source})["MessageId"];
}
std::string subject_sent(std::string_view subject) {
  return body_of({.id = "1-2.0", .subject = subject})["Subject"];
}

TEST(SnsPayload, IsANotificationOfSns) {
  const Payload payload = sns_payload(notification());
  EXPECT_THAT(payload.headers,
              UnorderedElementsAre("content-type: text/plain; charset=UTF-8",
                                   "x-amz-sns-message-type: Notification",
                                   "x-amz-sns-message-id: 22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
                                   "x-amz-sns-topic-arn: arn:aws:sns:local:000000000000:orders"));
  EXPECT_EQ(
      payload.body,
      R"({"Type":"Notification","MessageId":"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",)"
      R"("TopicArn":"arn:aws:sns:local:000000000000:orders","Subject":"My First Message",)"
      R"("Message":"{\"total\": 12.50}","Timestamp":"2026-05-02T00:54:06.655Z",)"
      R"("MessageAttributes":{"store":{"Type":"String","Value":"example_corp"},)"
      R"("interests":{"Type":"String.Array","Value":"[\"soccer\",7,true]"},)"
      R"("price":{"Type":"Number","Value":"210.75"},"picture":{"Type":"Binary","Value":"AAECAw=="},)"
      R"("paid":{"Type":"String","Value":"true"},"none":{"Type":"String","Value":"null"}}})");
}

TEST(SnsPayload, ReadsAsTheSameNotification) {
  const auto message = fanfare::protocol::parse_sns_message(sns_payload(notification()).body);
  ASSERT_TRUE(message) << message.error().message;
  const auto event = fanfare::protocol::event_of(*message, "orders");
  EXPECT_EQ(event.id, notification().ce_id);
  EXPECT_EQ(event.source, notification().source);
  EXPECT_EQ(event.subject, notification().subject);
  EXPECT_EQ(event.time, notification().time);
  EXPECT_EQ(event.content_type, notification().content_type);
  EXPECT_EQ(event.data, notification().data);
  ASSERT_EQ(event.extensions.size(), 1u);
  json attributes = json::parse(notification().extensions[0].second);
  attributes["paid"] = "true";  // SNS knows no other types
  attributes["none"] = "null";
  EXPECT_EQ(json::parse(event.extensions[0].second), attributes);
}

TEST(SnsPayload, OfAnyEventHasWhatSnsWants) {
  const Payload payload = sns_payload({.id = "1785600000125-2.0",
                                       .ce_id = "7\r\nx-forged: yes",
                                       .source = "/topics/a\r\nx-forged: yes",
                                       .type = "form.submitted",
                                       .data = "x",
                                       .extensions = {{"team", "a"}, {"attributes", "none"}}});
  for (const std::string& header : payload.headers) {
    EXPECT_EQ(header.find_first_of("\r\n"), header.npos) << header;
  }
  const json body = json::parse(payload.body);
  EXPECT_EQ(body["TopicArn"], "arn:aws:sns:local:000000000000:events");
  EXPECT_EQ(body["Timestamp"], "2026-08-01T16:00:00.125Z") << "when it was published";
  EXPECT_EQ(body["Message"], "x");
  EXPECT_FALSE(body.contains("Subject"));
  EXPECT_FALSE(body.contains("MessageAttributes"));
  EXPECT_EQ(
      body_of({.id = "1-2.0", .extensions = {{"attributes", "{}"}}}).contains("MessageAttributes"),
      false);
}

// As any library makes it: python3 -c 'import uuid; print(uuid.uuid5(uuid.NAMESPACE_URL,
// "/shop\n7"))'
TEST(SnsPayload, HasAMessageIdThatIsUniqueByItself) {
  EXPECT_EQ(message_id_of_event("/shop", "7"), "1b2adcf1-62dc-5287-9cbe-e6a1254dee2f");
  EXPECT_EQ(message_id_of_event("/shop", "7"), message_id_of_event("/shop", "7"));
  EXPECT_NE(message_id_of_event("/shop", "7"), message_id_of_event("/other", "7"));
  const auto id_of_data = [](std::string_view ce_id, std::string_view data) {
    return body_of({.id = "1-2.0", .ce_id = ce_id, .source = "/s", .data = data})["MessageId"];
  };
  EXPECT_NE(id_of_data("", "a"), id_of_data("", "b")) << "another installation's 1-2.0";
  EXPECT_EQ(id_of_data("7", "a"), id_of_data("7", "b")) << "its publisher says it is the same";
  const std::string uuid = "22B80B92-fdea-4c2c-8f9d-bdfb0c7bf324";
  EXPECT_EQ(message_id_of_event("/other", uuid), uuid);
  for (const std::string& none : {uuid + "0", "g" + uuid.substr(1), "0" + uuid.substr(0, 35)}) {
    EXPECT_NE(message_id_of_event("/shop", none), none);
  }
}

TEST(SnsPayload, HasASubjectOfOneLineAndAHundredCharacters) {
  const std::string hundred = "ü" + std::string(98, 'x') + "ü";
  EXPECT_EQ(subject_sent(hundred), hundred);
  EXPECT_EQ(subject_sent(hundred + "y"), "ü" + std::string(96, 'x') + "...");
  EXPECT_EQ(subject_sent(std::string(96, 'x') + "üüüüü"), std::string(96, 'x') + "ü...");
  EXPECT_EQ(subject_sent("two\r\nlines\x7f"), "two  lines ");
}

TEST(SnsPayload, RefusesDataThatAreNoText) {
  const auto failure = failure_of([] { sns_payload({.id = "1-2.0", .data = "\x89PNG"}); });
  EXPECT_EQ(failure.type(), "NotText");
  EXPECT_FALSE(failure.retryable());
  EXPECT_THAT(failure.message(), HasSubstr("--format cloudevents"));
}

}  // namespace
}  // namespace notify
