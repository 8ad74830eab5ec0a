// Functions that an operator holds up.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

TEST(Pausing, KeepsQueueingAndLendsNothingUntilResumed) {
  CoreHarness h;
  h.join();
  EXPECT_EQ(h.ask("pause", R"({"name":"f"})"),
            (nlohmann::json{{"name", "f"}, {"state", "paused"}}));
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  EXPECT_EQ(h.answers().at(0).runs.at(0).count, 2u) << "what is published is taken";
  EXPECT_TRUE(h.delivered().empty());
  h.pass(10s);
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.ask("describe", R"({"name":"f"})")["state"], "paused");

  EXPECT_EQ(h.ask("resume", R"({"name":"f"})")["state"], "active");
  EXPECT_EQ(h.delivered().size(), 2u);
}

TEST(Pausing, LetsWhatRunsFinishAndKeepsItsRetryBack) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  const auto running = h.delivered();
  ASSERT_EQ(running.size(), 2u);
  h.ask("pause", R"({"name":"f"})");
  h.done(h.ok_row(running[0]));
  EXPECT_EQ(h.core.counters().deliveries_succeeded, 1u);
  h.done(h.failed_row(running[1], protocol::Outcome::kDrained));
  EXPECT_TRUE(h.delivered().empty()) << "it came back and waits";
  h.ask("resume", R"({"name":"f"})");
  h.pass(200ms);  // the worker that handed it back has rested
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Pausing, CountsFromRedisAnswerOn) {
  CoreHarness h;
  h.join();
  h.admin("pause", R"({"name":"f"})");
  EXPECT_EQ(h.admin_answer(), nullptr);
  const auto [ticket, call] = h.take_call<store::SetState>();
  EXPECT_TRUE(call.paused);
  h.answer(ticket, retry_later("Redis is loading"));
  EXPECT_EQ(h.admin_answer()["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
  EXPECT_EQ(h.ask("describe", R"({"name":"f"})")["state"], "active");
}

TEST(Pausing, OutlivesADeploymentAndEndsWithTheFunction) {
  CoreHarness h;
  h.ask("pause", R"({"name":"f"})");
  const std::string deploy =
      nlohmann::json{{"name", "f"}, {"manifest", ""}, {"digest", std::string(64, 'e')}}.dump();
  h.ask("deploy", deploy);
  EXPECT_EQ(h.ask("describe", R"({"name":"f"})")["state"], "paused");
  h.ask("remove", R"({"name":"f"})");
  h.ask("deploy", deploy);
  EXPECT_EQ(h.ask("describe", R"({"name":"f"})")["state"], "active");
}

TEST(Pausing, OfAnUnknownFunctionIsRefused) {
  CoreHarness h;
  const auto unknown = h.ask("pause", R"({"name":"g"})");
  EXPECT_EQ(unknown["refused"], static_cast<int>(protocol::Refusal::kNoSuchFunction));
  h.admin("pause", R"({"name":"f"})");
  h.answer(h.take_call<store::SetState>().first, store::Answer{store::StateSet{false}});
  EXPECT_EQ(h.admin_answer()["refused"], static_cast<int>(protocol::Refusal::kNoSuchFunction));
}

TEST(Pausing, TellsACallerWhyItsInvocationDidNotRun) {
  CoreHarness h;
  h.join();
  h.ask("pause", R"({"name":"f"})");
  h.feed("caller", protocol::Invoke{7, "f", 100, h.event()});
  h.pass(200ms);
  const auto refused = h.take<protocol::Refused>("caller");
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].code, protocol::Refusal::kTimeout);
  EXPECT_NE(refused[0].message.find("paused"), std::string::npos);
}

}  // namespace
}  // namespace fanfare::broker
