#include "autoscaler/broker_view.h"

#include <gtest/gtest.h>

namespace fanfare::autoscaler {
namespace {

TEST(BrokerView, CountsWhatRunsAndWhatWaitsAndMayRun) {
  const auto view = broker_view_of(R"({"functions": [
    {"name": "a", "state": "active", "ready": 10, "lendable": 6, "max_concurrency": 0, "running": 3},
    {"name": "b", "state": "paused", "ready": 100, "lendable": 100, "running": 2},
    {"name": "c", "state": "active", "ready": 1000, "lendable": 900, "max_concurrency": 5, "running": 4}],
    "workers": [{"id": "x", "state": "running", "slots": 8}, {"id": "y", "state": "running", "slots": 4},
                {"id": "z", "state": "quiet", "slots": 100}]})");
  ASSERT_TRUE(view) << view.error().message;
  EXPECT_EQ(view->demand, 3 + 6 + 2 + 5);
  EXPECT_EQ(view->slots, 6);
}

TEST(BrokerView, IsThereWithoutWorkers) {
  const auto view = broker_view_of(R"({"functions": [], "workers": []})");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->demand, 0);
  EXPECT_EQ(view->slots, 0);
}

TEST(BrokerView, KnowsWhereWorkersRunAndWhatTheyHold) {
  const auto workers = connected_workers_of(R"({"workers": [
    {"id": "web-1", "host": "boot", "pid": 12, "slots": 8, "state": "quiet", "held": 3},
    {"id": "y", "pid": -1}, 7]})");
  ASSERT_TRUE(workers) << workers.error().message;
  ASSERT_EQ(workers->size(), 2u);
  EXPECT_EQ((*workers)[0].name, "web-1");
  EXPECT_EQ((*workers)[0].host, "boot");
  EXPECT_EQ((*workers)[0].pid, 12u);
  EXPECT_EQ((*workers)[0].slots, 8);
  EXPECT_EQ((*workers)[0].state, "quiet");
  EXPECT_EQ((*workers)[0].held, 3u);
  EXPECT_EQ((*workers)[1].pid, 0u) << "what makes no sense counts nothing";
  for (const char* text : {"", "[]", "{}", R"({"workers": 1})"}) {
    EXPECT_FALSE(connected_workers_of(text)) << text;
  }
}

TEST(BrokerView, RefusesWhatIsNoStatus) {
  for (const char* text : {"", "null", "[]", "{}", R"({"functions": 1, "workers": []})",
                           R"({"functions": []})", "{\"functions\": [], \"workers\": ["}) {
    EXPECT_FALSE(broker_view_of(text)) << text;
  }
  EXPECT_TRUE(broker_view_of(R"({"functions": [1, {"lendable": "x"}], "workers": [null]})"))
      << "what is unknown counts nothing";
}

}  // namespace
}  // namespace fanfare::autoscaler
