#include "autoscaler/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fanfare::autoscaler {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

History history() {
  return {"systemd", false, {}};
}

TEST(AutoscalerHistory, HandsOnWhoDrainsToWhoeverIsStartedNext) {
  const Drain finishing{.number = 3, .worker = "host-3", .pid = 103, .since = TimePoint{1h}};
  const Drain stopped{
      .number = 4, .worker = "host-4", .pid = 104, .since = TimePoint{2h}, .stopped = true};
  History told = history();
  told.decided({}, {}, {.running = 2, .leaving = 2, .drains = {finishing, stopped}}, {});
  Drain then = finishing, then_stopped = stopped;
  then.since = then_stopped.since = TimePoint{5h};
  EXPECT_THAT(drains_in(told.to_json(), TimePoint{5h}), ElementsAre(then, then_stopped));
  EXPECT_THAT(drains_in(history().to_json(), TimePoint{5h}), IsEmpty());
}

TEST(AutoscalerHistory, TakesNoDrainsOfWhatIsNone) {
  for (const char* text :
       {"", "null", "[]", "{}", R"({"drains": 7})", R"({"drains": [7, {}, {"number": 3}]})",
        R"({"drains": [{"number": "3", "worker": "w"}, {"number": 0, "worker": "w"}]})"}) {
    EXPECT_THAT(drains_in(text, TimePoint{}), IsEmpty()) << text;
  }
}

// A change that fails is tried with each tick.
TEST(AutoscalerHistory, KeepsAChangeThatIsTriedAgainAndAgainOnce) {
  History told = history();
  told.changed({.at = WallTime{1h}, .from = 1, .to = 2, .reason = "a", .outcome = "done"});
  for (int i = 0; i < 3; ++i) {
    told.changed(
        {.at = WallTime{2h + i * 1s}, .from = 2, .to = 3, .reason = "b", .outcome = "refused"});
  }
  const auto status = nlohmann::json::parse(told.to_json());
  ASSERT_THAT(status["changes"], SizeIs(2));
  EXPECT_EQ(status["changes"][0]["at"], format_wall_time(WallTime{2h + 2s})) << "the last time";
  told.changed({.at = WallTime{3h}, .from = 2, .to = 3, .reason = "b", .outcome = "started 3"});
  EXPECT_THAT(nlohmann::json::parse(told.to_json())["changes"], SizeIs(3));
}

}  // namespace
}  // namespace fanfare::autoscaler
