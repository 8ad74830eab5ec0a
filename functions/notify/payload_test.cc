#include "functions/notify/payload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "functions/notify/test_support.h"
#include "protocol/event.h"
#include "triggers/cloudevents_http.h"

namespace notify {
namespace {

using fanfare::Event;
using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;

Event order() {
  return {.id = "1-2.0",
          .ce_id = "7",
          .source = "/shop",
          .type = "order.placed",
          .subject = "orders/ä",
          .time = "2026-11-28T12:00:00Z",
          .content_type = "application/json",
          .data_schema = "https://example.org/order",
          .data = R"({"total": 12345678901234567890123, "exact": 0.1000})",
          .extensions = {{"traceparent", "00-aa"}, {"team", "a \"b\"\r\nx: y"}}};
}

fanfare::protocol::Event as_published(const Event& event) {
  fanfare::protocol::Event same;
  same.id = event.ce_id.empty() ? event.id : event.ce_id;
  same.source = event.source;
  same.type = event.type;
  same.subject = event.subject;
  same.time = event.time;
  same.content_type = event.content_type;
  same.data_schema = event.data_schema;
  same.data = event.data;
  for (const auto& [name, value] : event.extensions) same.extensions.emplace_back(name, value);
  return same;
}

TEST(WebhookPayload, IsThePlainEventUnlessSaid) {
  const Payload payload = payload_of(Format::kEvent, order(), "an order");
  EXPECT_THAT(payload.headers, Contains("content-type: application/json"));
  EXPECT_EQ(payload.body, R"({"type":"order.placed","source":"/shop","subject":"orders/ä",)"
                          R"("timestamp":"2026-11-28T12:00:00Z","text":"an order",)"
                          R"("data":{"total": 12345678901234567890123, "exact": 0.1000}})");
}

TEST(WebhookPayload, TakesDataThatAreNoJsonToo) {
  Event event{.source = "/s", .type = "t", .content_type = "text/plain", .data = "a \"b\""};
  EXPECT_EQ(payload_of(Format::kEvent, event, "").body,
            R"({"type":"t","source":"/s","data":"a \"b\""})");
  event.data = "\xff\xfe";
  EXPECT_EQ(payload_of(Format::kEvent, event, "").body,
            R"({"type":"t","source":"/s","data_base64":"//4="})");
  event.data = "";
  EXPECT_EQ(payload_of(Format::kEvent, event, "").body, R"({"type":"t","source":"/s"})");
}

// What is put into the body as it came must not become anything else there.
TEST(WebhookPayload, RefusesJsonThatIsNone) {
  using namespace std::string_literals;
  const std::string deep(300, '[');
  for (const std::string& data :
       {"plain"s, "{"s, "1,\"type\":\"x\""s, "{}\0,\"type\":\"x\""s, "\xef\xbb\xbf{}"s, "{} {}"s,
        "\"\xff\""s, deep + std::string(300, ']')}) {
    const Event event{.source = "/s", .type = "t", .data = data};
    const auto failure = failure_of([&] { payload_of(Format::kEvent, event, ""); });
    EXPECT_EQ(failure.type(), "MalformedNotification") << data;
    const json cloud = json::parse(payload_of(Format::kCloudEvents, event, "").body);
    EXPECT_EQ(cloud["type"], "t") << data;
    EXPECT_TRUE(cloud.contains("data_base64")) << data;
  }
}

TEST(WebhookPayload, IsACloudEventThatReadsAsTheSameEvent) {
  const Payload payload = payload_of(Format::kCloudEvents, order(), "");
  EXPECT_THAT(payload.headers,
              Contains("content-type: application/cloudevents+json; charset=utf-8"));
  EXPECT_THAT(payload.body, HasSubstr(R"("data":{"total": 12345678901234567890123,)"));
  auto event = fanfare::protocol::from_cloudevents_json(payload.body);
  ASSERT_TRUE(event) << event.error().message;
  auto expected = as_published(order());
  event->data = expected.data;  // the reader's spelling
  EXPECT_EQ(*event, expected);

  Event bytes{.id = "1-2.0", .source = "/s", .type = "t", .content_type = "image/png"};
  bytes.data = "\x89PNG";
  event =
      fanfare::protocol::from_cloudevents_json(payload_of(Format::kCloudEvents, bytes, "").body);
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(*event, as_published(bytes));
  EXPECT_EQ(event->id, "1-2.0") << "Fanfare's own, as there is no other";
}

TEST(WebhookPayload, IsABinaryCloudEventThatReadsAsTheSameEvent) {
  const Payload payload = payload_of(Format::kCloudEventsBinary, order(), "");
  EXPECT_EQ(payload.body, order().data);
  std::vector<fanfare::triggers::HttpHeader> headers;
  for (const std::string& line : payload.headers) {
    EXPECT_EQ(line.find_first_of("\r\n"), line.npos) << line;
    const auto colon = line.find(": ");
    headers.push_back({line.substr(0, colon), line.substr(colon + 2)});
  }
  const fanfare::triggers::FakeExchange exchange("POST", "/", headers, payload.body);
  const auto events = fanfare::triggers::cloud_events_of(exchange);
  ASSERT_TRUE(events) << events.error().message;
  EXPECT_EQ(events->events.at(0), as_published(order()));
}

TEST(WebhookPayload, LetsNobodyWriteHeaders) {
  Event event = order();
  event.content_type = "text/plain\r\nx-forged: yes";
  const Payload payload = payload_of(Format::kCloudEventsBinary, event, "");
  EXPECT_THAT(payload.headers, Contains("content-type: application/octet-stream"));
}

TEST(WebhookPayload, HasFourFormats) {
  EXPECT_EQ(format_called(""), Format::kEvent);
  EXPECT_EQ(format_called("cloudevents"), Format::kCloudEvents);
  EXPECT_EQ(format_called("cloudevents-binary"), Format::kCloudEventsBinary);
  EXPECT_EQ(format_called("sns"), Format::kSns);
  EXPECT_EQ(failure_of([] { format_called("xml"); }).type(), "ConfigError");
}

}  // namespace
}  // namespace notify
