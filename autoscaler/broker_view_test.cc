#include "autoscaler/broker_view.h"

#include <gtest/gtest.h>

namespace fanfare::autoscaler {
namespace {

TEST(BrokerView, CountsWhatRunsAndWhatWaitsAndMayRun) {
  const auto view = broker_view_of(R"({"functions": [
    {"name": "a", "state": "active", "ready": 10, "blocked": 4, "running": 3},
    {"name": "b", "state": "paused", "ready": 100, "blocked": 0, "running": 2},
    {"name": "c", "state": "active", "ready": 1, "blocked": 2, "running": 0}],
    "workers": [{"id": "x", "state": "running", "slots": 8}, {"id": "y", "state": "running", "slots": 4},
                {"id": "z", "state": "quiet", "slots": 100}]})");
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->demand, 11);
  EXPECT_EQ(view->slots, 6);
  EXPECT_EQ(view->workers, 2u);
}

TEST(BrokerView, IsThereWithoutWorkers) {
  const auto view = broker_view_of(R"({"functions": [], "workers": []})");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->demand, 0);
  EXPECT_EQ(view->slots, 0);
}

TEST(BrokerView, RefusesWhatIsNoStatus) {
  for (const char* text : {"", "null", "[]", "{}", R"({"functions": 1, "workers": []})",
                           R"({"functions": []})", "{\"functions\": [], \"workers\": ["}) {
    EXPECT_FALSE(broker_view_of(text)) << text;
  }
  EXPECT_TRUE(broker_view_of(R"({"functions": [1, {"ready": "x"}], "workers": [null]})"))
      << "what is unknown counts nothing";
}

}  // namespace
}  // namespace fanfare::autoscaler
