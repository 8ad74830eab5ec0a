#include "cli/pending.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fanfare::cli {
namespace {

constexpr std::string_view kAnswer = R"({"deliveries":[
  {"id":"1-2.3","function":"resize","state":"running","attempt":2,"accepted_ms":1,"worker":"local-1",
   "lent_ms":5,"running_ms":4200,"progress":0.42,"note":"page 3 of 7"},
  {"id":"1-2.3","function":"mail","state":"ready","attempt":1,"accepted_ms":7000,"worker":null,
   "lent_ms":null,"running_ms":null,"progress":null,"note":""},
  {"id":"nonsense"}, 7],"truncated":false,"unread":[]})";

TEST(Pending, TellsOfARunningDeliveryWhereSinceWhenAndHowFar) {
  const auto all = parse_deliveries(kAnswer);
  ASSERT_EQ(all.size(), 2u) << "rows that make no sense are left out";
  EXPECT_EQ(format_pending(all[0], wall_from_ms(10'000)),
            "resize: running on local-1 for 4.2 s, attempt 2, 42 %, \"page 3 of 7\"");
  EXPECT_EQ(format_pending(all[1], wall_from_ms(10'000)), "mail: ready, waits since 3.0 s");
}

TEST(Pending, TellsOfADelayedAndARetryingOneWhenTheyGoOn) {
  PendingDelivery one{.function = "f", .state = PendingDelivery::State::kDelayed, .due_ms = 5000};
  EXPECT_EQ(format_pending(one, wall_from_ms(0)),
            "f: delayed, runs at 1970-01-01T00:00:05.000Z (in 5.0 s)");
  one.state = PendingDelivery::State::kRetrying;
  one.last = protocol::AttemptRow{.number = 2, .outcome = protocol::Outcome::kFunctionError};
  one.last->error_type = "NotYet";
  one.last->error_message = "later";
  EXPECT_EQ(format_pending(one, wall_from_ms(9000)),
            "f: retrying now, when an instance is free; attempt 2 function_error (NotYet: later)");
}

TEST(Pending, TellsOfARedrivenOneThatItBeginsAnew) {
  PendingDelivery one{.function = "f", .state = PendingDelivery::State::kRetrying};
  one.last = protocol::AttemptRow{.number = 0, .outcome = protocol::Outcome::kRedriven};
  EXPECT_EQ(format_pending(one, wall_from_ms(9000)),
            "f: retrying now, when an instance is free; redriven from the dead letters");
}

TEST(Pending, HasTheShapeOfAResultForScripts) {
  const auto all = parse_deliveries(kAnswer);
  const auto json = nlohmann::json::parse(pending_json(all.at(0)));
  EXPECT_EQ(json["id"], "1-2.3");
  EXPECT_EQ(json["function"], "resize");
  EXPECT_EQ(json["status"], "running");
  EXPECT_TRUE(json["output"].is_null());
  EXPECT_EQ(json["worker"], "local-1");
  EXPECT_EQ(json["running_ms"], 4200);
  EXPECT_DOUBLE_EQ(json["progress"].get<double>(), 0.42);
  EXPECT_TRUE(json["due"].is_null());
}

TEST(Pending, AnAnswerThatIsNoneHasNoRows) {
  EXPECT_TRUE(parse_deliveries("").empty());
  EXPECT_TRUE(parse_deliveries("[]").empty());
  EXPECT_TRUE(parse_deliveries(R"({"deliveries":"no"})").empty());
}

}  // namespace
}  // namespace fanfare::cli
