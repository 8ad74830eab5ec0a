// `rate`: how often attempts start.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

CoreHarness::Functions paced(const std::string& rate) {
  return {{"f", "rate = \"" + rate + "\"\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"}};
}

TEST(Rate, PacesTheStartsOfAllWorkersTogetherAndTheRestWaits) {
  CoreHarness h(paced("100/s"));
  h.join(1000, "w1");
  h.join(1000, "w2");
  h.publish(1, std::vector<std::string>(400, h.event()));
  h.answer_all();
  std::size_t lent = h.delivered("w1").size() + h.delivered("w2").size();
  EXPECT_EQ(lent, 1u);
  for (int ms = 0; ms < 1000; ms += 2) {
    h.pass(2ms);
    lent += h.delivered("w1").size() + h.delivered("w2").size();
  }
  EXPECT_GE(lent, 100u);
  EXPECT_LE(lent, 101u);
  EXPECT_EQ(h.core.counters().deliveries_dead + h.core.counters().deliveries_expired, 0u);
}

TEST(Rate, WakesTheBrokerInTime) {
  CoreHarness h(paced("100/s"));
  h.join();
  h.publish(1, {h.event(), h.event()});
  h.answer_all();
  ASSERT_EQ(h.delivered().size(), 1u);
  EXPECT_EQ(h.core.until_next_tick(h.now), 10ms);
  h.pass(10ms);
  EXPECT_EQ(h.delivered().size(), 1u);
  EXPECT_GT(h.core.until_next_tick(h.now), 50ms) << "nothing waits any more";
}

TEST(Rate, HoldsForSynchronousInvocationsToo) {
  CoreHarness h(paced("2/s"));
  h.join();
  for (std::uint64_t request = 1; request <= 3; ++request) {
    h.feed("caller", protocol::Invoke{request, "f", 10'000, h.event()});
  }
  EXPECT_EQ(h.delivered().size(), 1u);
  h.pass(499ms);
  EXPECT_EQ(h.delivered().size(), 0u);
  h.pass(1ms);
  EXPECT_EQ(h.delivered().size(), 1u);
  h.pass(500ms);
  EXPECT_EQ(h.delivered().size(), 1u);
}

TEST(Rate, IsThatOfTheLatestDeployment) {
  CoreHarness h(paced("1/h"));
  h.join();
  h.publish(1, std::vector<std::string>(50, h.event()));
  h.answer_all();
  EXPECT_EQ(h.delivered().size(), 1u);
  h.pass(20s);
  EXPECT_EQ(h.delivered().size(), 0u);
  h.feed("admin", protocol::Admin{1, "deploy",
                                  R"({"name":"f","manifest":"rate = \"10/s\"\n","digest":")" +
                                      std::string(64, 'a') + "\"}"});
  h.answer_all();
  for (int i = 0; i < 20; ++i) h.pass(50ms);
  const std::size_t lent = h.delivered().size();
  EXPECT_GE(lent, 9u);
  EXPECT_LE(lent, 11u);
}

}  // namespace
}  // namespace fanfare::broker
