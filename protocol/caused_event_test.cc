#include "protocol/caused_event.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fanfare::protocol {
namespace {

using JsonValue = nlohmann::json;

Event an_order() {
  Event event;
  event.source = "/shop";
  event.type = "order.placed";
  event.subject = "7";
  event.content_type = "application/json";
  event.data = R"({"total": 12})";
  return event;
}

EndedDelivery succeeded(std::string_view packed_event) {
  EndedDelivery ended;
  ended.function = "bill";
  ended.version = 3;
  ended.id = {{1'700'000'000'000, 5}, 2};
  ended.packed_event = packed_event;
  ended.attempts = 2;
  ended.ended_ms = 1'700'000'001'500;
  ended.output = R"({"paid":true})";
  ended.content_type = "application/json";
  return ended;
}

Event unpacked(const CausedEvent& caused) {
  auto event = unpack_event(caused.packed_event);
  EXPECT_TRUE(event);
  return *event;
}
JsonValue record_of(const CausedEvent& caused) {
  return JsonValue::parse(unpacked(caused).data);
}

TEST(CausedEvent, TellsAFunctionOfASuccessInLambdasWords) {
  const std::string cause = pack(an_order());
  const CausedEvent caused = destination_event("notify", succeeded(cause));
  EXPECT_EQ(caused.to, "notify");
  const Event event = unpacked(caused);
  EXPECT_EQ(event.type, "function.succeeded");
  EXPECT_EQ(event.source, "/functions/bill");
  EXPECT_EQ(event.subject, "1700000000000-5.2");
  EXPECT_EQ(event.content_type, "application/json");
  EXPECT_EQ(event.options.generation, 1u);
  EXPECT_EQ(JsonValue::parse(event.data), JsonValue::parse(R"({
    "version": "1.0", "timestamp": "2023-11-14T22:13:21.500Z",
    "requestContext": {"requestId": "1700000000000-5.2", "functionArn": "bill",
      "condition": "Success", "approximateInvokeCount": 2,
      "eventType": "order.placed", "eventSource": "/shop", "eventSubject": "7"},
    "requestPayload": {"total": 12},
    "responseContext": {"statusCode": 200, "executedVersion": "3", "functionError": null},
    "responsePayload": {"paid": true}})"));
}

TEST(CausedEvent, TellsATypeOfAFailure) {
  const std::string cause = pack(an_order());
  EndedDelivery ended = succeeded(cause);
  ended.reason = DeadReason::kRetriesExhausted;
  ended.error_type = "Declined";
  ended.error_message = "the card is \"bad\"";
  const CausedEvent caused = destination_event("billing.failed", ended);
  EXPECT_EQ(caused.to, "");
  EXPECT_EQ(unpacked(caused).type, "billing.failed");
  const JsonValue record = record_of(caused);
  EXPECT_EQ(record["requestContext"]["condition"], "RetriesExhausted");
  EXPECT_EQ(record["responseContext"]["functionError"], "Unhandled");
  EXPECT_EQ(record["responsePayload"]["errorType"], "Declined");
  EXPECT_EQ(record["responsePayload"]["errorMessage"], "the card is \"bad\"");
}

TEST(CausedEvent, NamesTheConditionOfEveryDeath) {
  const std::string cause = pack(an_order());
  EndedDelivery ended = succeeded(cause);
  for (const auto& [reason, condition] : {std::pair{DeadReason::kNotRetryable, "NotRetryable"},
                                          {DeadReason::kExpired, "EventAgeExceeded"},
                                          {DeadReason::kWorkerLosses, "WorkerLosses"}}) {
    ended.reason = reason;
    EXPECT_EQ(record_of(destination_event("x", ended))["requestContext"]["condition"], condition);
  }
}

TEST(CausedEvent, KeepsPayloadsThatAreNotJson) {
  Event order = an_order();
  order.content_type = "text/plain";
  order.data = "not {json\n\x01";
  const std::string cause = pack(order);
  EndedDelivery ended = succeeded(cause);
  ended.output = std::string_view("\xff\x00\xfe", 3);
  ended.content_type = "application/octet-stream";
  const JsonValue record = record_of(destination_event("x", ended));
  EXPECT_EQ(record["requestPayload"], "not {json\n\x01");
  EXPECT_EQ(record["responsePayload"]["base64"], "/wD+");
  ended.output = "";
  EXPECT_EQ(record_of(destination_event("x", ended))["responsePayload"], nullptr);
  ended.output = "{broken";
  ended.content_type = "application/json";
  EXPECT_EQ(record_of(destination_event("x", ended))["responsePayload"], "{broken");
}

TEST(CausedEvent, StaysBelow256KiBHoweverLargeThePayloads) {
  Event order = an_order();
  order.data = "\"" + std::string(1 << 20, 'a') + "\"";
  const std::string cause = pack(order);
  EndedDelivery ended = succeeded(cause);
  const std::string output(90 * 1024, '\x01');  // sixfold as JSON
  ended.output = output;
  ended.content_type = "text/plain";
  const CausedEvent caused = destination_event("x", ended);
  EXPECT_LT(caused.packed_event.size(), 256u * 1024);
  const JsonValue record = record_of(caused);
  EXPECT_EQ(record["requestPayload"]["truncated"], true);
  EXPECT_EQ(record["requestPayload"]["bytes"], order.data.size());
  EXPECT_EQ(record["requestPayload"]["start"].get<std::string>().substr(0, 3), "\"aa");
  EXPECT_EQ(record["responsePayload"]["bytes"], output.size());
}

TEST(CausedEvent, IsOneGenerationAfterItsCauseAndOfItsTenant) {
  Event order = an_order();
  order.options.generation = 4;
  order.options.tenant = "acme";
  order.extensions = {{"traceparent", "00-1"}, {"other", "x"}};
  const std::string cause = pack(order);
  const Event told = unpacked(destination_event("x", succeeded(cause)));
  EXPECT_EQ(told.options.generation, 5u);
  EXPECT_EQ(told.options.tenant, "acme");
  EXPECT_EQ(told.extensions.size(), 1u);

  Event own = an_order();
  own.options.generation = 0;  // a function may say what it likes
  own.options.delay = 100;
  const auto published = published_event(pack(own), cause);
  ASSERT_TRUE(published);
  EXPECT_EQ(published->to, "");
  own.options.generation = 5;
  own.options.tenant = "acme";
  EXPECT_EQ(unpacked(*published), own);
}

TEST(CausedEvent, IsRejectedIfAFunctionMadeItBadly) {
  EXPECT_FALSE(published_event("junk", pack(an_order())));
}

TEST(InvokingEvent, SaysWhoInvokesAndWhatLedToIt) {
  Event order = an_order();
  order.options.generation = 4;
  order.options.tenant = "acme";
  order.extensions = {{"traceparent", "00-1"}, {"other", "x"}};
  Event later = an_order();
  later.options.generation = 7;
  later.options.tenant = "other";
  const std::string first = pack(order), second = pack(later);
  const std::vector<Cause> causes{{{{9, 1}, 2}, first}, {{{9, 1}, 3}, second}};
  const auto packed = invoking_event("bill", "data", causes);
  ASSERT_TRUE(packed);
  Event expected;
  expected.type = "function.invoked";
  expected.source = "/functions/bill";
  expected.subject = "9-1.2";
  expected.extensions = {{"traceparent", "00-1"}};
  expected.data = "data";
  expected.options.generation = 8;
  expected.options.tenant = "acme";
  const auto event = unpack_event(*packed);
  ASSERT_TRUE(event);
  EXPECT_EQ(*event, expected);
}

TEST(InvokingEvent, IsRejectedAtTheEndOfAChain) {
  Event order = an_order();
  for (const std::uint32_t generation : {kGenerationsMax - 1, kGenerationsMax}) {
    order.options.generation = generation;
    const std::string cause = pack(order);
    const std::vector<Cause> causes{{{{9, 1}, 2}, cause}};
    EXPECT_EQ(invoking_event("bill", "", causes).has_value(), generation < kGenerationsMax);
  }
}

}  // namespace
}  // namespace fanfare::protocol
