#include "triggers/s3_notification.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace fanfare::triggers {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

// As AWS sends it to SQS, SNS and functions.
constexpr const char* kFromAws = R"({"Records":[{"eventVersion":"2.1","eventSource":"aws:s3",
"awsRegion":"eu-central-1","eventTime":"2026-11-28T10:11:12.345Z","eventName":"ObjectCreated:Put",
"userIdentity":{"principalId":"AWS:AIDAEXAMPLE"},"requestParameters":{"sourceIPAddress":"192.0.2.7"},
"responseElements":{"x-amz-request-id":"C3D13FE58DE4C810","x-amz-id-2":"FMyUVURIY8/IgAtTv8xRjskZQpcIZ9KG4V5Wp6S7S/JRWeUWerMUE5JgHvANOjpD"},
"s3":{"s3SchemaVersion":"1.0","configurationId":"uploads","bucket":{"name":"photos",
"ownerIdentity":{"principalId":"A3NL1KOZZKExample"},"arn":"arn:aws:s3:::photos"},
"object":{"key":"summer+2026/caf%C3%A9.jpg","size":1024,"eTag":"d41d8cd98f00b204e9800998ecf8427e",
"versionId":"096fKKXTRTtl3on89fVO.nfljtsv6qko","sequencer":"0055AED6DCD90281E5"}}}]})";

// As MinIO posts it to a webhook: with EventName and Key of its own, names that begin with s3:, and
// times without a fraction.
constexpr const char* kFromMinio =
    R"({"EventName":"s3:ObjectRemoved:Delete","Key":"photos/a%2Bb.png",
"Records":[{"eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"",
"eventTime":"2026-11-28T09:27:27Z","eventName":"s3:ObjectRemoved:Delete",
"userIdentity":{"principalId":"minio"},"requestParameters":{"region":"","sourceIPAddress":"127.0.0.1"},
"responseElements":{"x-amz-request-id":"15CFEDF8D4736ED9","x-minio-origin-endpoint":"http://127.0.0.1:9000"},
"s3":{"s3SchemaVersion":"1.0","configurationId":"Config","bucket":{"name":"photos",
"ownerIdentity":{"principalId":"minio"},"arn":"arn:aws:s3:::photos"},
"object":{"key":"a%2Bb.png","sequencer":"15CFEDF8D5304D1A"}},
"source":{"host":"127.0.0.1","port":"","userAgent":"MinIO linux amd64"
}
}]
})";

std::string in_sns(const std::string& message) {
  return json{{"Type", "Notification"},
              {"MessageId", "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324"},
              {"TopicArn", "arn:aws:sns:eu-central-1:123456789012:uploads"},
              {"Subject", "Amazon S3 Notification"},
              {"Message", message},
              {"Timestamp", "2026-11-28T10:11:12.999Z"},
              {"SignatureVersion", "1"}}
      .dump();
}

std::string changed(const char* document, const std::string& pointer, const json& value) {
  json copy = json::parse(document);
  copy[json::json_pointer(pointer)] = value;
  return copy.dump();
}

protocol::Event only_event(const std::string& document) {
  const auto read = read_s3_notification(document);
  EXPECT_TRUE(read) << read.error().message;
  if (!read || read->events.size() != 1) return {};
  EXPECT_TRUE(protocol::view_event(protocol::pack(read->events[0])));
  return read->events[0];
}

std::string refusal_of(const std::string& document) {
  const auto read = read_s3_notification(document);
  return read ? "" : read.error().message;
}

TEST(S3Notification, OfAwsBecomesAnEventWithTheKeyDecodedAndTheRecordAsItCame) {
  const auto event = only_event(kFromAws);
  EXPECT_EQ(event.type, "storage.object.created");
  EXPECT_EQ(event.source, "/storage/photos");
  EXPECT_EQ(event.subject, "photos/summer 2026/café.jpg");
  EXPECT_EQ(event.time, "2026-11-28T10:11:12.345Z");
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(json::parse(event.data), json::parse(kFromAws));
}

TEST(S3Notification, OfMinioIsReadAlike) {
  const auto event = only_event(kFromMinio);
  EXPECT_EQ(event.type, "storage.object.removed");
  EXPECT_EQ(event.subject, "photos/a+b.png");
  EXPECT_EQ(json::parse(event.data)["Records"], json::parse(kFromMinio)["Records"]);
}

TEST(S3Notification, WithinSnsIsTheSameEvent) {
  const auto event = only_event(kFromAws);
  EXPECT_EQ(only_event(in_sns(kFromAws)), event);
  const json to_function{{"Records",
                          {{{"EventVersion", "1.0"},
                            {"EventSource", "aws:sns"},
                            {"Sns", {{"Type", "Notification"}, {"Message", kFromAws}}}}}}};
  EXPECT_EQ(only_event(to_function.dump()), event);
  EXPECT_THAT(refusal_of(in_sns(in_sns(in_sns(kFromAws)))), HasSubstr("within another"));
  EXPECT_THAT(refusal_of(in_sns("hello")), HasSubstr("not JSON"));
}

TEST(S3Notification, ThatIsSentAgainHasTheSameIdAndAnotherChangeHasAnother) {
  const std::string id = only_event(kFromAws).id;
  // What differs between two deliveries of one change does not count.
  EXPECT_EQ(only_event(changed(kFromAws, "/Records/0/awsRegion", "elsewhere")).id, id);
  EXPECT_EQ(only_event(changed(kFromAws, "/Records/0/eventTime", "2026-11-28T10:11:13Z")).id, id);
  const std::set<std::string> ids{
      id,
      only_event(changed(kFromAws, "/Records/0/s3/object/sequencer", "0055AED6DCD90281E6")).id,
      only_event(changed(kFromAws, "/Records/0/s3/object/versionId", "2")).id,
      only_event(changed(kFromAws, "/Records/0/s3/object/key", "other")).id,
      only_event(changed(kFromAws, "/Records/0/s3/bucket/name", "other")).id,
      only_event(changed(kFromAws, "/Records/0/eventName", "ObjectRemoved:Delete")).id,
  };
  EXPECT_EQ(ids.size(), 6u);

  // Without a sequencer the request is what names it.
  const auto tagging = changed(changed(kFromAws, "/Records/0/s3/object/sequencer", nullptr).c_str(),
                               "/Records/0/eventName", "ObjectTagging:Put");
  EXPECT_NE(only_event(tagging).id,
            only_event(changed(tagging.c_str(), "/Records/0/responseElements/x-amz-request-id",
                               "C3D13FE58DE4C811"))
                .id);
}

TEST(S3Notification, OfEachKindHasATypeOfItsOwn) {
  const auto type = [](const char* name) {
    return only_event(changed(kFromAws, "/Records/0/eventName", name)).type;
  };
  EXPECT_EQ(type("ObjectCreated:CompleteMultipartUpload"), "storage.object.created");
  EXPECT_EQ(type("s3:ObjectCreated:Copy"), "storage.object.created");
  EXPECT_EQ(type("ObjectRemoved:DeleteMarkerCreated"), "storage.object.removed");
  EXPECT_EQ(type("LifecycleExpiration:Delete"), "storage.object.removed");
  EXPECT_EQ(type("ObjectTagging:Put"), "storage.object.tagging");
  EXPECT_EQ(type("ObjectAcl:Put"), "storage.object.acl");
  EXPECT_EQ(type("s3:ObjectAccessed:Get"), "storage.object.accessed");
  EXPECT_EQ(type("ReducedRedundancyLostObject"), "storage.object.reduced_redundancy_lost_object");
}

TEST(S3Notification, OfSeveralRecordsGivesSeveralEvents) {
  json document = json::parse(kFromAws);
  document["Records"].push_back(json::parse(kFromMinio)["Records"][0]);
  const auto read = read_s3_notification(document.dump());
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->events.size(), 2u);
  EXPECT_EQ(json::parse(read->events[1].data)["Records"].size(), 1u);
  document["Records"][1]["s3"]["bucket"].erase("name");
  EXPECT_THAT(refusal_of(document.dump()), HasSubstr("Records[1]: s3.bucket.name"));
}

TEST(S3Notification, ForATestIsNoEvent) {
  const std::string test =
      R"({"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-11-28T10:00:00.000Z",
"Bucket":"photos","RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR+YstdA6Knx4Ip8EXAMPLE"})";
  for (const auto& document : {test, in_sns(test)}) {
    const auto read = read_s3_notification(document);
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(read->is_test);
    EXPECT_TRUE(read->events.empty());
  }
}

TEST(S3Notification, ThatAsksToSubscribeGivesTheAddress) {
  const auto read = read_s3_notification(
      R"({"Type":"SubscriptionConfirmation","Token":"2336","SubscribeURL":"https://sns.example/?x=1"})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->subscribe_url, "https://sns.example/?x=1");
  EXPECT_TRUE(read->events.empty());
}

TEST(S3Notification, ThatIsNoneIsRefusedWithTheReason) {
  EXPECT_THAT(refusal_of(""), HasSubstr("not JSON: it is empty"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal_of("{}"), HasSubstr("neither Records"));
  EXPECT_THAT(refusal_of(R"({"Records":[]})"), HasSubstr("not an array"));
  EXPECT_THAT(refusal_of(R"({"Records":[1]})"), HasSubstr("eventVersion is missing"));
  EXPECT_THAT(refusal_of(std::string(10'000, '[')), HasSubstr("too deep"));
  EXPECT_THAT(refusal_of(changed(kFromAws, "/Records/0/eventVersion", "3.0")), HasSubstr("2.x"));
  EXPECT_THAT(refusal_of(changed(kFromAws, "/Records/0/eventName", "a b")), HasSubstr("eventName"));
  EXPECT_THAT(refusal_of(changed(kFromAws, "/Records/0/eventTime", "now")), HasSubstr("eventTime"));
  EXPECT_THAT(refusal_of(changed(kFromAws, "/Records/0/s3/object/key", "%4")),
              HasSubstr("not URL-encoded"));
  EXPECT_THAT(refusal_of(changed(kFromAws, "/Records/0/s3/object/key", std::string(1025, 'k'))),
              HasSubstr("over 1024 bytes"));
  EXPECT_THAT(refusal_of(changed(kFromAws, "/Records/0/s3", 7)), HasSubstr("s3.bucket.name"));
}

}  // namespace
}  // namespace fanfare::triggers
