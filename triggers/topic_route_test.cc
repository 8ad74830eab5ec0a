// What a request to a topic says; what becomes of it is tests/integration/topics_test.cc's.
#include "triggers/topic_route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "triggers/definitions.h"
#include "triggers/fake_exchange.h"

namespace fanfare::triggers {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

Result<protocol::Event> notification(std::vector<HttpHeader> headers, std::string body) {
  return notification_of(
      FakeExchange("POST", "/topics/orders", std::move(headers), std::move(body)), "orders");
}

TEST(Notification, IsTheBodyAsItIs) {
  const auto event = notification({{"Content-Type", "application/json; charset=utf-8"},
                                   {"fanfare-subject", "a subject"},
                                   {"Fanfare-Attributes", R"( {"store":"berlin","price":12})"}},
                                  R"({"n":1})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->type, "notification.published");
  EXPECT_EQ(event->source, "/topics/orders");
  EXPECT_EQ(event->subject, "a subject");
  EXPECT_EQ(event->content_type, "application/json; charset=utf-8");
  EXPECT_EQ(event->data, R"({"n":1})");
  EXPECT_EQ(event->id, "");
  EXPECT_THAT(event->extensions,
              ElementsAre(Pair("attributes", R"({"store":"berlin","price":12})")));
  EXPECT_TRUE(protocol::view_event(protocol::pack(*event)));
}

TEST(Notification, IsJsonIfItIsJsonAndNobodySaysOtherwise) {
  const std::string form = "application/x-www-form-urlencoded";  // as curl says of what it posts
  const auto type = [](std::vector<HttpHeader> headers, const std::string& body) {
    return notification(std::move(headers), body)->content_type;
  };
  EXPECT_EQ(type({{"Content-Type", form}}, "{\"a\":1}"), "application/json");
  EXPECT_EQ(type({{"Content-Type", form}}, "a=1"), "text/plain; charset=utf-8");
  EXPECT_EQ(type({}, "[1]"), "application/json");
  EXPECT_EQ(type({}, ""), "text/plain; charset=utf-8");
  EXPECT_EQ(type({{"Content-Type", "text/plain"}}, "{}"), "text/plain");
  EXPECT_EQ(type({{"Content-Type", "image/png"}}, "\x89PNG"), "image/png");
}

TEST(Notification, HasAttributesThatAreAnObject) {
  for (const char* wrong : {"x", "[1]", "{", "\"a\"", "7", "{\"a\":\"\xFF\"}"}) {
    const auto event = notification({{"Fanfare-Attributes", wrong}}, "x");
    ASSERT_FALSE(event) << wrong;
    EXPECT_THAT(event.error().message, HasSubstr("must be a JSON object"));
  }
  EXPECT_FALSE(
      notification({{"Fanfare-Attributes", "{\"a\":\"" + std::string(8192, 'x') + "\"}"}}, "x"));
}

TEST(Notification, OfSnsIsTakenAsSnsHasIt) {
  const std::string body =
      R"({"Type":"Notification","MessageId":"m-1","TopicArn":"arn:aws:sns:eu-north-1:1:orders",)"
      R"("Subject":"s","Message":"Hello","Timestamp":"2026-05-02T00:54:06.655Z",)"
      R"("MessageAttributes":{"price":{"Type":"Number","Value":"12"}}})";
  const HttpHeader of_sns{"x-amz-sns-message-type", "Notification"};
  const HttpHeader text{"Content-Type", "text/plain; charset=UTF-8"};
  const auto event = notification({of_sns, text}, body);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->id, "m-1");
  EXPECT_EQ(event->subject, "s");
  EXPECT_EQ(event->data, "Hello");
  EXPECT_THAT(event->extensions, ElementsAre(Pair("attributes", R"({"price":12})")));
  EXPECT_EQ(notification({text}, body)->data, body) << "nobody said that it is of SNS";
  EXPECT_THAT(notification({of_sns, text}, "Hello").error().message, HasSubstr("SNS: the body"));

  EXPECT_THAT(
      notification({of_sns, text},
                   R"({"Type":"UnsubscribeConfirmation","MessageId":"1","SubscribeURL":"x"})")
          .error()
          .message,
      HasSubstr("and Type differ"));

  const auto raw = notification(
      {of_sns, text, {"x-amz-sns-rawdelivery", "true"}, {"x-amz-sns-message-id", "m-2"}}, "Hello");
  ASSERT_TRUE(raw);
  EXPECT_EQ(raw->id, "m-2");
  EXPECT_EQ(raw->data, "Hello");
  EXPECT_THAT(raw->extensions, IsEmpty());
}

TEST(Notification, IsConfirmedAtAddressesOfSnsOnly) {
  EXPECT_TRUE(is_address_of_sns("https://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription"));
  for (const char* other :
       {"http://sns.us-west-2.amazonaws.com/", "https://sns.us-west-2.amazonaws.com.evil.org/",
        "https://evil.org/sns.us-west-2.amazonaws.com/", "https://sns..amazonaws.com/", "",
        "https://sns.a@evil.org:80.amazonaws.com/", "https://sns.x/.amazonaws.com/",
        "https://xsns.us-west-2.amazonaws.com/", "https://sns.amazonaws.com/"}) {
    EXPECT_FALSE(is_address_of_sns(other)) << other;
  }
}

TEST(TopicDefinitions, AreReadAndDeclared) {
  const auto read = parse_definitions(R"(
[topics.plain]
tenant = "acme"
[[topics.orders.subscriptions]]
function = "mail"
[[topics.orders.subscriptions]]
function = "bill"
filter = { store = ["berlin"], price = [{ numeric = [">=", 1.5] }, true] }
[[topics.orders.subscriptions]]
function = "stock"
filter = '{"items": {"kind": ["shirt"]}}'
filter_scope = "body"
[topics."*"]
)",
                                      "t.toml");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->topics.at("plain").tenant, "acme");
  EXPECT_EQ(
      to_declaration(read->topics),
      R"({"topics":{"orders":{"subscriptions":[{"function":"mail","filter_scope":"attributes"},)"
      R"({"function":"bill","filter":{"price":[{"numeric":[">=",1.5]},true],"store":["berlin"]},"filter_scope":"attributes"},)"
      R"({"function":"stock","filter":{"items":{"kind":["shirt"]}},"filter_scope":"body"}]},)"
      R"("plain":{"subscriptions":[]}}})");
  EXPECT_EQ(to_declaration({}), R"({"topics":{}})");
  EXPECT_TRUE(check_fits(read->topics));
  const auto large = check_fits(read->topics, 100);
  ASSERT_FALSE(large);
  EXPECT_THAT(large.error().message, HasSubstr("the topics come to over 100"));
}

TEST(TopicDefinitions, SayWhereTheyAreWrong) {
  const auto complaint = [](const std::string& toml) {
    const auto wrong = parse_definitions(toml, "t.toml");
    return wrong ? "it is taken" : wrong.error().message;
  };
  const std::string begin = "[[topics.orders.subscriptions]]\n";
  EXPECT_THAT(complaint(begin), HasSubstr("t.toml:1:"));
  EXPECT_THAT(complaint(begin), HasSubstr("subscriptions (number 1): function is missing"));
  EXPECT_THAT(complaint(begin + "functoin = \"f\"\n"), HasSubstr("did you mean function?"));
  EXPECT_THAT(complaint(begin + "function = \"a b\"\n"), HasSubstr("must be a function's name"));
  EXPECT_THAT(complaint(begin + "function = \"f\"\nfilter = { a = 1 }\n"),
              HasSubstr("filter policy field 'a' must be a non-empty array"));
  EXPECT_THAT(complaint(begin + "function = \"f\"\nfilter = { a = { b = [1] } }\n"),
              HasSubstr("scope \"body\""));
  EXPECT_THAT(complaint(begin + "function = \"f\"\nfilter = [1]\n"), HasSubstr("must be a table"));
  EXPECT_THAT(complaint(begin + "function = \"f\"\nfilter_scope = \"data\"\n"),
              HasSubstr("\"attributes\" or \"body\""));
  EXPECT_THAT(complaint(begin + "function = \"f\"\n" + begin + "function = \"f\"\n"),
              HasSubstr("(number 2): f subscribes already"));
  EXPECT_THAT(complaint("[topics.orders]\nsubscriptions = 5\n"),
              HasSubstr("must be [[topics.NAME.subscriptions]]"));
  EXPECT_THAT(complaint("[[topics.\"*\".subscriptions]]\nfunction = \"f\"\n"),
              HasSubstr("by a pattern of its manifest"));
  EXPECT_THAT(complaint("[topics.\"a b\"]\n"), HasSubstr("must be 1 to 64 of"));
}

}  // namespace
}  // namespace fanfare::triggers
