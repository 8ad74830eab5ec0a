#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "protocol/event.h"
#include "protocol/samples.h"

namespace fanfare::protocol {
namespace {

nlohmann::json pattern_json(const Event& event) {
  const std::string packed = pack(event);
  return nlohmann::json::parse(to_pattern_json(view_event(packed).value()));
}

TEST(PatternJson, HoldsAttributesExtensionsAndParsedData) {
  const auto json = pattern_json(samples::full_event());
  EXPECT_EQ(json["type"], "form.submitted");
  EXPECT_EQ(json["source"], "/forms/contact");
  EXPECT_EQ(json["subject"], "contact/ü");
  EXPECT_EQ(json["id"], "order-7");
  EXPECT_EQ(json["time"], "2026-11-23T14:37:00.125Z");
  EXPECT_EQ(json["region"], "north");
  EXPECT_EQ(json["data"]["name"], "Ada");
  EXPECT_FALSE(pattern_json(samples::minimal_event()).contains("subject"));
}

TEST(PatternJson, LeavesOutDataThatIsNotJson) {
  for (const std::string& data :
       {std::string{"plain"}, std::string{""}, std::string{"{\"a\":1"}, std::string{"\xFF"},
        std::string{"1 2"}, std::string{"\xEF\xBB\xBF{}"},
        std::string(300, '[') + std::string(300, ']')}) {
    Event event = samples::minimal_event();
    event.data = data;
    const auto json = pattern_json(event);
    EXPECT_FALSE(json.contains("data")) << data;
    EXPECT_EQ(json["type"], "form.submitted");
  }
}

TEST(PatternJson, LooksAtTheContentType) {
  Event event = samples::minimal_event();
  event.content_type = "text/plain";
  EXPECT_FALSE(pattern_json(event).contains("data"));
  event.content_type = "";
  EXPECT_TRUE(pattern_json(event).contains("data"));
  event.content_type = "application/cloudevents+JSON; charset=utf-8";
  EXPECT_TRUE(pattern_json(event).contains("data"));
}

TEST(PatternJson, EscapesWhatJsonWantsEscaped) {
  Event event = samples::minimal_event();
  event.subject = "a\"b\\c\nd\x01/\xC3\xA4";
  EXPECT_EQ(pattern_json(event)["subject"], event.subject);
}

TEST(PatternJson, KeepsEveryKindOfValue) {
  for (const char* data : {"1", "-1.5e3", "true", "null", "\"text\"", "[1,[2,{\"a\":null}]]",
                           R"({"bracket in text":"]}[{","quote":"\"["})"}) {
    Event event = samples::minimal_event();
    event.data = data;
    EXPECT_EQ(pattern_json(event)["data"], nlohmann::json::parse(data)) << data;
  }
}

}  // namespace
}  // namespace fanfare::protocol
