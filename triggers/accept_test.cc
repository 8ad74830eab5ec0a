#include "triggers/accept.h"

#include <gtest/gtest.h>

#include "triggers/fake_exchange.h"

namespace fanfare::triggers {
namespace {

constexpr std::string_view kOffered[] = {"application/json", "application/cloudevents+json"};

// 0 or 1, or -1 for none of them.
int wanted_by(std::vector<std::string> accept) {
  std::vector<HttpHeader> headers;
  for (std::string& value : accept) headers.push_back({"accept", std::move(value)});
  const auto wanted = wanted_of(FakeExchange("GET", "/results/1", std::move(headers)), kOffered);
  return wanted ? static_cast<int>(*wanted) : -1;
}

TEST(Accept, ChoosesWhatWeighsMostAndElseTheFirst) {
  EXPECT_EQ(wanted_by({}), 0);
  EXPECT_EQ(wanted_by({""}), 0);
  EXPECT_EQ(wanted_by({"*/*"}), 0);
  EXPECT_EQ(wanted_by({"application/*"}), 0);
  EXPECT_EQ(wanted_by({"application/cloudevents+json"}), 1);
  EXPECT_EQ(wanted_by({"Application/CloudEvents+JSON; charset=utf-8"}), 1);
  EXPECT_EQ(wanted_by({"application/cloudevents+json, application/json"}), 0);
  EXPECT_EQ(wanted_by({"application/json;q=0.5, application/cloudevents+json"}), 1);
  EXPECT_EQ(wanted_by({"text/html, application/cloudevents+json;q=0.001"}), 1);
  EXPECT_EQ(wanted_by({"text/html", "application/cloudevents+json ; q=1.000 ,"}), 1);
}

TEST(Accept, GoesByTheClosestRange) {
  EXPECT_EQ(wanted_by({"*/*, application/json;q=0.9"}), 1);
  EXPECT_EQ(wanted_by({"application/json;q=0, */*;q=0.1"}), 1);
  EXPECT_EQ(wanted_by({"application/*;q=0.2, application/json;q=0.1, */*"}), 1);
  EXPECT_EQ(wanted_by({"application/*;q=0, application/json"}), 0);
}

TEST(Accept, MayWantNothingOfIt) {
  EXPECT_EQ(wanted_by({"text/html"}), -1);
  EXPECT_EQ(wanted_by({"application/cloudevents-batch+json"}), -1);
  EXPECT_EQ(wanted_by({"*/*;q=0"}), -1);
}

TEST(Accept, LeavesOutWhatCannotBeRead) {
  for (const char* nonsense : {"json", "application/json;q=2", "application/json;q=",
                               "application/json;q=0.1234", "application/json;q=1.5", ";;,=,/;q"}) {
    EXPECT_EQ(wanted_by({std::string{nonsense} + ", application/cloudevents+json;q=0.1"}), 1)
        << nonsense;
  }
  EXPECT_EQ(wanted_by({"json"}), 0) << "as without any";
}

}  // namespace
}  // namespace fanfare::triggers
