// What workers run by themselves, as the broker sees it: of which functions they may, and what came
// of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Names = std::vector<std::string>;

struct Locals : CoreHarness {
  using CoreHarness::CoreHarness;
  void hello_local(const std::string& name = "w") {
    feed(name, protocol::Hello{.name = name,
                               .host = "",
                               .pid = 1,
                               .pid_started = 0,
                               .slots = 4,
                               .held = {},
                               .state = protocol::WorkerState::kRunning,
                               .local = true});
  }
  // What it was told since this was asked; nothing if nothing.
  std::optional<Names> told(const std::string& worker = "w") {
    const auto all = take<protocol::Local>(worker);
    if (all.empty()) return std::nullopt;
    return all.back().functions;
  }
  void beat(protocol::Heartbeat::LocalRow row, const std::string& worker = "w") {
    protocol::Heartbeat heartbeat;
    heartbeat.local = {std::move(row)};
    feed(worker, heartbeat);
  }
};

TEST(Local, IsToldToWorkersThatWantIt) {
  Locals h;
  h.hello("old");
  h.hello_local("new");
  EXPECT_EQ(h.told("old"), std::nullopt);
  const auto told = h.take<protocol::Local>("new");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0].functions, ElementsAre("f"));
  EXPECT_EQ(told[0].event_bytes_max, CoreOptions{}.event_bytes_max);
}

TEST(Local, IsNotOfWhatIsCountedOverAllWorkers) {
  Locals h({{"capped", "max_concurrency = 2\n"}, {"free", ""}, {"paced", "rate = \"10/s\"\n"}});
  h.hello_local();
  EXPECT_EQ(h.told(), Names{"free"});
}

TEST(Local, EndsAtOnceWhenAFunctionIsPausedAndBeginsAgainWhenItIsResumed) {
  Locals h;
  h.hello_local();
  h.told();
  h.ask("pause", R"({"name":"f"})");
  EXPECT_EQ(h.told(), Names{});
  h.ask("resume", R"({"name":"f"})");
  EXPECT_EQ(h.told(), Names{"f"});
  h.ask("resume", R"({"name":"f"})");
  EXPECT_EQ(h.told(), std::nullopt) << "nothing has changed";
}

// Until then a worker knows nothing of the generation that it has just heard of.
TEST(Local, IsToldAnewAfterADeployment) {
  Locals h;
  h.hello_local();
  h.told();
  h.ask("deploy",
        nlohmann::json{
            {"name", "f"}, {"manifest", "timeout = \"9s\"\n"}, {"digest", std::string(64, 'e')}}
            .dump());
  ASSERT_FALSE(h.take<protocol::Functions>("w").empty());
  EXPECT_EQ(h.told(), Names{"f"});
}

TEST(Local, EndsWhenTheFunctionIsRemovedAndWhenTheBrokerDrains) {
  Locals h({{"f", ""}, {"g", ""}});
  h.hello_local();
  h.told();
  h.ask("remove", R"({"name":"f"})");
  EXPECT_EQ(h.told(), Names{"g"});
  h.core.begin_drain();
  h.turn();
  EXPECT_EQ(h.told(), Names{});
}

TEST(Local, IsCountedAsWhatThePathOfTheBrokerBrings) {
  Locals h;
  h.hello_local();
  h.beat({.function = "f", .ended = 5, .timed_out = 1, .here = 2});
  h.beat({.function = "f", .ended = 2, .timed_out = 0, .here = 1});
  h.beat({.function = "nobody", .ended = 7, .timed_out = 7, .here = 7}, "w");
  const Counters& counters = h.core.counters();
  EXPECT_EQ(counters.invocations, 7u);
  EXPECT_EQ(counters.invocations_local, 7u);
  EXPECT_EQ(counters.invocations_timed_out, 1u);
  EXPECT_EQ(counters.deliveries_dispatched, 7u);
  EXPECT_EQ(h.core.functions().at("f")->measures.dispatched, 7u);
}

TEST(Local, IsSeenInStatusWhileItRunsAndNotOfAWorkerThatIsGone) {
  Locals h;
  h.hello_local("w");
  h.hello_local("v");
  h.beat({.function = "f", .here = 2}, "w");
  h.beat({.function = "f", .here = 1}, "v");
  auto status = h.ask("status", "{}");
  EXPECT_EQ(status["functions"][0]["running"], 3);
  EXPECT_EQ(status["workers"][0]["running"], 2);
  EXPECT_EQ(h.ask("workers", "{}")["workers"][1]["held"], 1);
  h.core.on_worker_died(h.core.sessions().begin()->first, h.now);
  EXPECT_EQ(h.ask("status", "{}")["functions"][0]["running"], 1);
  h.feed("v", protocol::Heartbeat{});
  EXPECT_EQ(h.ask("status", "{}")["functions"][0]["running"], 0);
}

}  // namespace
}  // namespace fanfare::broker
