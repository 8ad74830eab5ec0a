// Events that are not to run yet.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

TEST(Delayed, EventsThatWaitedForRedisHaveTheWholeOfTheirTimeFromAcceptanceOn) {
  CoreHarness h;
  h.publish(1, {h.event()});  // under way, and it stays so for a while
  const auto first = h.take_call<store::Append>();
  h.publish(1, {h.event(protocol::PublishOptions{.delay = 80, .max_age = 100})}, false, "d");
  h.pass(70ms);
  h.answer(first.first, store::Answer{store::Appended{}});
  const std::int64_t accepted_ms = to_ms(h.now.wall);
  h.answer(h.take_call<store::Append>().first, store::Answer{store::Appended{}});
  const auto item = h.take_call<store::Postpone>().second.items.at(0);
  EXPECT_EQ(item.accepted_ms, accepted_ms);
  EXPECT_EQ(item.due_ms, accepted_ms + 80);
}

}  // namespace
}  // namespace fanfare::broker
