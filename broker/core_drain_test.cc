// Workers that an operator makes quiet.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using protocol::WorkerState;

json worker_row(CoreHarness& h, const std::string& name = "w") {
  const json answer = h.ask("workers", "{}");
  for (const auto& row : answer["workers"]) {
    if (row["id"] == name) return row;
  }
  return {};
}

TEST(Draining, SendsAQuietWorkerNothingAndTakesItBack) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event()});
  h.answer_all();
  ASSERT_EQ(h.delivered().size(), 1u);
  EXPECT_EQ(h.ask("drain_worker", R"({"worker":"w"})"), (json{{"id", "w"}, {"state", "quiet"}}));
  ASSERT_EQ(h.take<protocol::Quiet>("w").size(), 1u);
  h.publish(2, {h.event()});
  h.answer_all();
  h.credit(2000);
  EXPECT_TRUE(h.delivered().empty()) << "though it has credit, and gave more";
  EXPECT_EQ(worker_row(h)["state"], "quiet");
  EXPECT_EQ(worker_row(h)["held"], 1);

  h.feed("w", protocol::Heartbeat{.state = WorkerState::kQuiet});
  EXPECT_EQ(h.ask("resume_worker", R"({"worker":"w"})")["state"], "quiet") << "until it says so";
  h.feed("w", protocol::Heartbeat{.state = WorkerState::kRunning});
  EXPECT_EQ(worker_row(h)["state"], "running");
  const auto told = h.take<protocol::Quiet>("w");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].quiet);
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Draining, LeavesTheWorkToOthers) {
  CoreHarness h;
  h.join(1000, "w1");
  h.join(1000, "w2");
  h.ask("drain_worker", R"({"worker":"w1"})");
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  EXPECT_TRUE(h.delivered("w1").empty());
  EXPECT_EQ(h.delivered("w2").size(), 2u);
}

TEST(Draining, IsToldAgainWhenTheWorkerComesBack) {
  CoreHarness h;
  h.join();
  h.ask("drain_worker", R"({"worker":"w"})");
  h.take<protocol::Quiet>("w");
  h.feed("w", protocol::Bye{1});
  EXPECT_EQ(h.ask("drain_worker", R"({"worker":"w"})")["state"], "away") << "it is known by name";
  h.join();  // it says that it runs: another process, or the message was lost
  const auto told = h.take<protocol::Quiet>("w");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].quiet);
  h.publish(1, {h.event()});
  h.answer_all();
  EXPECT_TRUE(h.delivered().empty());
}

TEST(Draining, OfAFormerBrokerIsBelieved) {
  CoreHarness h;
  h.hello("w", {}, WorkerState::kQuiet);
  h.credit(10);
  h.publish(1, {h.event()});
  h.answer_all();
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_TRUE(h.take<protocol::Quiet>("w").empty());
  EXPECT_EQ(h.ask("resume_worker", R"({"worker":"w"})")["state"], "quiet") << "it has not said so";
  EXPECT_EQ(h.take<protocol::Quiet>("w").size(), 1u);
  protocol::Heartbeat heartbeat{.session = 1};
  heartbeat.state = WorkerState::kQuiet;
  h.feed("w", heartbeat);
  const auto reminded = h.take<protocol::Quiet>("w");
  ASSERT_EQ(reminded.size(), 1u) << "what it was sent may have been lost";
  EXPECT_FALSE(reminded[0].quiet);
  EXPECT_TRUE(h.delivered().empty());
  heartbeat.state = WorkerState::kRunning;
  h.feed("w", heartbeat);
  EXPECT_TRUE(h.take<protocol::Quiet>("w").empty());
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Draining, AWishThatWasTakenBackWhileTheWorkerWasAwayIsTold) {
  CoreHarness h;
  h.join();
  h.ask("drain_worker", R"({"worker":"w"})");
  h.feed("w", protocol::Bye{1});
  h.ask("resume_worker", R"({"worker":"w"})");
  h.take<protocol::Quiet>("w");
  h.hello("w", {}, WorkerState::kQuiet);
  const auto told = h.take<protocol::Quiet>("w");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_FALSE(told[0].quiet);
}

// It might be told of the first wish only, and its broker be gone.
TEST(Draining, TakenBackAtOnceIsNotOverBeforeTheWorkerHasSaidThatItWasQuiet) {
  CoreHarness h;
  h.join();
  h.ask("drain_worker", R"({"worker":"w"})");
  EXPECT_EQ(h.ask("resume_worker", R"({"worker":"w"})").at("state"), "quiet");
  h.feed("w", protocol::Heartbeat{.state = WorkerState::kRunning});  // sent before it was told
  EXPECT_EQ(h.ask("resume_worker", R"({"worker":"w"})").at("state"), "quiet");
  h.feed("w", protocol::Heartbeat{.state = WorkerState::kQuiet});
  h.feed("w", protocol::Heartbeat{.state = WorkerState::kRunning});
  EXPECT_EQ(h.ask("resume_worker", R"({"worker":"w"})").at("state"), "running");
}

TEST(Draining, IsNotPromisedByABrokerThatWasFollowed) {
  CoreHarness h;
  h.join();
  h.admin("resume_worker", R"({"worker":"w"})");
  EXPECT_TRUE(h.admin_answer().is_null()) << "it has not asked Redis yet";
  h.answer(h.take_call<store::NoteWorker>().first, stale("another broker has taken over"));
  EXPECT_TRUE(h.core.ended());
  EXPECT_TRUE(h.take<protocol::Quiet>("w").empty());
  EXPECT_TRUE(h.take<protocol::AdminReply>("operator").empty());
}

TEST(Draining, FollowsWhatTheWorkerSaysOfItself) {
  CoreHarness h;
  h.join();
  protocol::Heartbeat heartbeat{.session = 1};
  heartbeat.state = WorkerState::kTerminating;
  h.feed("w", heartbeat);
  EXPECT_EQ(worker_row(h)["state"], "terminating");
  h.publish(1, {h.event()});
  h.answer_all();
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.ask("resume_worker", R"({"worker":"w"})")["refused"],
            static_cast<int>(protocol::Refusal::kInvalid));
}

TEST(Draining, OfStrangersAndOlderBuildsIsRefused) {
  CoreHarness h;
  const auto stranger = h.ask("drain_worker", R"({"worker":"x"})");
  EXPECT_EQ(stranger["refused"], static_cast<int>(protocol::Refusal::kInvalid));
  EXPECT_NE(stranger["message"].get<std::string>().find("fanfare workers list"), std::string::npos);
  h.hello("old", {}, std::nullopt);
  EXPECT_EQ(h.ask("drain_worker", R"({"worker":"old"})")["refused"],
            static_cast<int>(protocol::Refusal::kUnsupported));
}

}  // namespace
}  // namespace fanfare::broker
