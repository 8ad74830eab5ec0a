#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "protocol/event.h"
#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

Event without_options(Event event) {
  event.options = {};
  return event;
}

Event round_trip(const Event& event) {
  auto read = from_cloudevents_json(to_cloudevents_json(event));
  EXPECT_TRUE(read) << read.error().message;
  return *read;
}

std::string error_of(const std::string& json) {
  const auto event = from_cloudevents_json(json);
  return event ? "" : event.error().message;
}

TEST(CloudEventsJson, RoundTripsEverythingButOptions) {
  const Event event = without_options(samples::full_event());
  EXPECT_EQ(round_trip(event), event);
}

TEST(CloudEventsJson, WritesDataByWhatItIs) {
  Event event = samples::minimal_event();
  EXPECT_EQ(nlohmann::json::parse(to_cloudevents_json(event))["data"]["name"], "Ada");

  event.content_type = "text/plain; charset=utf-8";
  event.data = "{\"quotes\" stay}";
  EXPECT_EQ(nlohmann::json::parse(to_cloudevents_json(event))["data"], event.data);
  EXPECT_EQ(round_trip(event), event);

  event.content_type = "image/png";
  event.data = std::string("\x89PNG\0\xFF", 6);
  EXPECT_EQ(nlohmann::json::parse(to_cloudevents_json(event))["data_base64"], "iVBORwD/");
  EXPECT_EQ(round_trip(event), event);

  event.content_type = "application/json";
  event.data = "not json";
  EXPECT_EQ(round_trip(event), event);

  event.content_type = "";
  EXPECT_EQ(round_trip(event), event);
}

TEST(CloudEventsJson, ReadsTheExampleOfTheStandard) {
  const auto event = from_cloudevents_json(R"({
    "specversion": "1.0", "type": "com.example.someevent", "source": "/mycontext",
    "subject": null, "id": "C234-1234-1234", "time": "2018-04-05T17:31:00+02:00",
    "comexampleextension1": "value", "comexampleothervalue": 5, "datacontenttype": "application/json",
    "data": {"appinfoA": "abc", "appinfoB": 123, "appinfoC": true}})");
  ASSERT_TRUE(event) << event.error().message;
  EXPECT_EQ(event->id, "C234-1234-1234");
  EXPECT_EQ(event->subject, "");
  EXPECT_EQ(event->data, R"({"appinfoA":"abc","appinfoB":123,"appinfoC":true})");
  EXPECT_EQ(event->extensions.size(), 2u);
  EXPECT_EQ(event->extensions[1].second, "5");
}

TEST(CloudEventsJson, TakesDataWithoutTypeForJson) {
  const auto event =
      from_cloudevents_json(R"({"specversion":"1.0","type":"t","source":"s","data":"text"})");
  ASSERT_TRUE(event);
  EXPECT_EQ(event->data, "\"text\"");
}

TEST(CloudEventsJson, RefusesWhatIsNoCloudEvent) {
  EXPECT_NE(error_of(""), "");
  EXPECT_NE(error_of("[]"), "");
  EXPECT_NE(error_of("{\"specversion\":\"1.0\""), "");
  EXPECT_NE(error_of(R"({"type":"t","source":"s"})").find("specversion"), std::string::npos);
  EXPECT_NE(error_of(R"({"specversion":"0.3","type":"t","source":"s"})").find("specversion"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"specversion":"1.0","type":"t"})").find("source is missing"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"specversion":"1.0","source":"s"})").find("type is missing"),
            std::string::npos);
  EXPECT_NE(
      error_of(R"({"specversion":"1.0","type":7,"source":"s"})").find("type must be a string"),
      std::string::npos);
  EXPECT_NE(error_of(R"({"specversion":"1.0","type":"t","source":"s","ext":{}})").find("ext"),
            std::string::npos);
  EXPECT_NE(
      error_of(R"({"specversion":"1.0","type":"t","source":"s","Ext":"v"})").find("extension"),
      std::string::npos);
  EXPECT_NE(
      error_of(R"({"specversion":"1.0","type":"t","source":"s","data_base64":"a"})").find("base64"),
      std::string::npos);
  EXPECT_NE(error_of(R"({"specversion":"1.0","type":"t","source":"s","data":1,"data_base64":""})")
                .find("exclude"),
            std::string::npos);
  for (const char* time :
       {"yesterday", "2018-04-05 17:31:00Z", "2018-04-05T17:31:00", "2018-04-05T17:31:00.Z"}) {
    EXPECT_NE(error_of(R"({"specversion":"1.0","type":"t","source":"s","time":")" +
                       std::string{time} + "\"}")
                  .find("RFC 3339"),
              std::string::npos);
  }
}

TEST(CloudEventsJson, SaysWhereItIsNoJson) {
  EXPECT_EQ(error_of(""), "CloudEvents JSON: not JSON: it is empty");
  EXPECT_EQ(error_of("{\"specversion\": \"1.0\",}").substr(0, 46),
            "CloudEvents JSON: not JSON: line 1, column 23:");
  EXPECT_NE(error_of("{'a': 1}").find("line 1, column 2: "), std::string::npos);
  EXPECT_EQ(error_of("{\"a\":1e999}").substr(0, 49),
            "CloudEvents JSON: not JSON: number overflow parsi");
  EXPECT_NE(error_of("[{}]").find("cloudevents-batch+json"), std::string::npos);
  EXPECT_NE(error_of(std::string(300, '[')).find("nests over 256 deep"), std::string::npos);
  EXPECT_LT(error_of("\"" + std::string(100'000, 'x')).size(), 300u);
}

TEST(CloudEventsJson, RefusesJsonThatNestsTooDeep) {
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_NE(error_of(R"({"specversion":"1.0","type":"t","source":"s","data":)" + deep + "}"), "");
}

}  // namespace
}  // namespace fanfare::protocol
