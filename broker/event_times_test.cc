#include "broker/event_times.h"

#include <gtest/gtest.h>

#include <limits>

namespace fanfare::broker {
namespace {

constexpr std::int64_t kForever = std::numeric_limits<std::int64_t>::max();

TEST(EventTimes, AnEventWithoutWishesStartsAtOnceAndNeverExpires) {
  const auto times = times_of(protocol::PublishOptions{}, 1000);
  EXPECT_EQ(times.due_ms, 0);
  EXPECT_EQ(times.expires_ms, 0);
}

TEST(EventTimes, DelayAndMaxAgeCountFromAcceptance) {
  protocol::PublishOptions options;
  options.delay = 50;
  options.max_age = 70;
  const auto times = times_of(options, 1000);
  EXPECT_EQ(times.due_ms, 1051) << "accepted before 1001";
  EXPECT_EQ(times.expires_ms, 1070);
}

TEST(EventTimes, AFixedTimeWinsOverADelay) {
  protocol::PublishOptions options;
  options.deliver_at = 5000;
  options.delay = 50;
  options.expires_at = 6000;
  options.max_age = 70;
  const auto times = times_of(options, 1000);
  EXPECT_EQ(times.due_ms, 5000);
  EXPECT_EQ(times.expires_ms, 6000);
}

TEST(EventTimes, ADelayBeyondAllClocksDoesNotWrapRound) {
  protocol::PublishOptions options;
  options.delay = kForever;
  options.max_age = kForever;
  const auto times = times_of(options, 1000);
  EXPECT_EQ(times.due_ms, kLatestMs);
  EXPECT_EQ(times.expires_ms, kLatestMs);
}

TEST(EventTimes, EndWhereClocksEnd) {
  protocol::PublishOptions options;
  options.deliver_at = kForever;
  options.expires_at = kLatestMs + 1;
  const auto times = times_of(options, 1000);
  EXPECT_EQ(times.due_ms, kLatestMs);
  EXPECT_EQ(times.expires_ms, kLatestMs);
}

TEST(EventTimes, OptionsAreReadFromAPackedEvent) {
  protocol::Event event;
  event.source = "/tests";
  event.type = "t";
  EXPECT_FALSE(options_of(protocol::pack(event)));
  event.options.delay = 50;
  ASSERT_TRUE(options_of(protocol::pack(event)));
  EXPECT_EQ(options_of(protocol::pack(event))->delay, 50);
  EXPECT_FALSE(options_of("not an event"));
}

}  // namespace
}  // namespace fanfare::broker
