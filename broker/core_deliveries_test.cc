// What the broker tells of deliveries that have not ended.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

Json ask(CoreHarness& h, const Json& body) {
  h.feed("op", protocol::Admin{1, "deliveries", body.dump()});
  const auto answers = h.take<protocol::AdminReply>("op");
  if (answers.size() != 1) return {{"refused", true}};
  return Json::parse(answers[0].data);
}

protocol::Heartbeat beat(const protocol::Delivery& delivery, std::uint32_t running_ms,
                         std::optional<std::uint32_t> progress = {}, std::string note = {}) {
  return {.session = 1,
          .delivered = 1,
          .rows = {},
          .running = {{"f", delivery.id, delivery.token, running_ms, progress, std::move(note)}}};
}

TEST(Deliveries, OneThatRunsSaysWhereSinceWhenAndHowFar) {
  CoreHarness h;
  h.join();
  h.publish(1, {CoreHarness::event()});
  h.answer_all();
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 1u);
  const std::string id = protocol::to_string(lent[0].id);

  Json row = ask(h, {{"id", id}}).at("deliveries").at(0);
  EXPECT_EQ(row.at("state"), "running");
  EXPECT_EQ(row.at("worker"), "w");
  EXPECT_EQ(row.at("attempt"), 1);
  EXPECT_EQ(row.at("lent_ms"), to_ms(h.now.wall));
  EXPECT_TRUE(row.at("running_ms").is_null()) << "the worker has not said that it has begun";

  h.feed("w", beat(lent[0], 1500, 420'000, "page 3 of 7"));
  h.pass(500ms);
  row = ask(h, {{"id", id}}).at("deliveries").at(0);
  EXPECT_EQ(row.at("running_ms"), 2000);
  EXPECT_DOUBLE_EQ(row.at("progress").get<double>(), 0.42);
  EXPECT_EQ(row.at("note"), "page 3 of 7");
  EXPECT_EQ(ask(h, {{"name", "f"}}).at("deliveries").at(0), row);

  h.done(h.ok_row(lent[0]));
  EXPECT_TRUE(ask(h, {{"id", id}}).at("deliveries").empty());
  EXPECT_TRUE(ask(h, {{"id", id}}).at("unread").empty()) << "nothing of it can be anywhere else";
}

TEST(Deliveries, WhatAHeartbeatSaidOfAnEarlierAttemptIsNotShownOfTheNext) {
  CoreHarness h;
  h.join();
  h.publish(1, {CoreHarness::event()});
  h.answer_all();
  const auto first = h.delivered();
  h.feed("w", beat(first.at(0), 100, 900'000, "nearly"));
  h.done(h.failed_row(first[0], protocol::Outcome::kDrained));
  h.pass(200ms);  // the worker's rest
  const auto second = h.delivered();
  ASSERT_EQ(second.size(), 1u);
  const Json row = ask(h, {{"id", protocol::to_string(second[0].id)}}).at("deliveries").at(0);
  EXPECT_EQ(row.at("state"), "running");
  EXPECT_TRUE(row.at("progress").is_null());
  EXPECT_EQ(row.at("note"), "");
}

TEST(Deliveries, OneThatWaitsSaysSoAndOneWhoseAttemptHasEndedRunsUntilThatIsWritten) {
  CoreHarness h;
  h.publish(1, {CoreHarness::event()});
  h.answer_all();
  const std::string id = protocol::to_string(h.answers().at(0).runs.at(0).first);
  EXPECT_EQ(ask(h, {{"id", id}}).at("deliveries").at(0).at("state"), "ready");

  h.join();
  h.done(h.failed_row(h.delivered().at(0)));
  const Json row = ask(h, {{"id", id}}).at("deliveries").at(0);
  EXPECT_EQ(row.at("state"), "running");
  EXPECT_EQ(row.at("attempt"), 2);

  h.answer_all();  // it lies in `later` now, where the broker does not keep it
  const Json later = ask(h, {{"id", id}});
  EXPECT_TRUE(later.at("deliveries").empty());
  EXPECT_EQ(later.at("unread"), Json::array({"f"}));
}

TEST(Deliveries, TheStatusNamesWhatHasRunLongest) {
  CoreHarness h;
  h.join();
  h.publish(1, {CoreHarness::event(), CoreHarness::event()});
  h.answer_all();
  const auto lent = h.delivered();
  ASSERT_EQ(lent.size(), 2u);
  auto beats = beat(lent[0], 3000);
  beats.running.push_back({"f", lent[1].id, lent[1].token, 20, {}, ""});
  h.feed("w", beats);
  h.feed("op", protocol::Admin{1, "status", "{}"});
  const Json status = Json::parse(h.take<protocol::AdminReply>("op").at(0).data);
  ASSERT_EQ(status.at("long_running").size(), 1u) << "20 ms are not long";
  EXPECT_EQ(status["long_running"][0]["id"], protocol::to_string(lent[0].id));
  EXPECT_EQ(status["long_running"][0]["worker"], "w");
}

TEST(Deliveries, AHeartbeatMayClaimMoreThanThereIsRoomFor) {
  CoreHarness h;
  h.join();
  protocol::Heartbeat flood{.session = 1, .delivered = 0, .rows = {}, .running = {}};
  for (std::uint64_t i = 0; i < 5000; ++i) {
    flood.running.push_back({"f", {{i, 0}, 0}, {1}, 1, 1, "made up"});
  }
  h.feed("w", flood);
  EXPECT_EQ(h.core.sessions().begin()->second.running.size(), protocol::kRunningInHeartbeatMax);
  EXPECT_TRUE(ask(h, {{"name", "f"}}).at("deliveries").empty()) << "nothing is lent to it";
}

TEST(Deliveries, AQuestionWithoutASubjectIsRefusedWithWhatToSay) {
  CoreHarness h;
  for (const Json& body : {Json::object(), Json{{"id", "17"}}, Json{{"name", "unknown"}}}) {
    h.feed("op", protocol::Admin{1, "deliveries", body.dump()});
    const auto refused = h.take<protocol::Refused>("op");
    ASSERT_EQ(refused.size(), 1u) << body;
    EXPECT_NE(refused[0].message, "");
  }
}

}  // namespace
}  // namespace fanfare::broker
