// Events that are not to run yet.
#include <gtest/gtest.h>

#include "broker/core_harness.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds kMonths = std::chrono::hours{24 * 90};

std::string due_in(std::chrono::milliseconds delay) {
  return CoreHarness::event(protocol::PublishOptions{.delay = delay.count()});
}

// Publishes an event for then, and has it appended.
std::int64_t publish_for(CoreHarness& h, std::int64_t deliver_at_ms) {
  h.publish(1, {h.event(protocol::PublishOptions{.deliver_at = deliver_at_ms})});
  h.answer(h.take_call<store::Append>().first, store::Answer{store::Appended{}});
  return deliver_at_ms;
}

std::size_t asked_for_due(CoreHarness& h) {
  h.core.tick(h.now);
  h.turn();
  return h.waiting_calls<store::Due>();
}

TEST(Delayed, EventsLieInLaterWithTheirAppendAndAreCountedThere) {
  CoreHarness h;
  h.join();
  h.publish(1, {due_in(1min), h.event(), due_in(30s)});
  const auto [ticket, append] = h.take_call<store::Append>();
  ASSERT_EQ(append.delayed.size(), 1u);
  EXPECT_EQ(append.delayed[0].function, "f");
  ASSERT_EQ(append.delayed[0].items.size(), 2u);
  EXPECT_EQ(append.delayed[0].items[1].index, 2u);
  ASSERT_EQ(append.streams.at(0).items.size(), 1u);
  EXPECT_EQ(append.streams[0].items[0].index, 1u);
  h.answer(ticket, store::Answer{store::Appended{}});
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 0u) << "one write";
  EXPECT_EQ(h.delivered().size(), 1u);
  const FunctionState& f = *h.core.functions().at("f");
  EXPECT_EQ(f.counts.later, 2);
  EXPECT_EQ(f.counts.open, 1);
  EXPECT_EQ(f.arriving, 0u);
  EXPECT_EQ(h.core.counters().deliveries_created, 3u);
  h.pass(30s);
  EXPECT_EQ(h.waiting_calls<store::Due>(), 0u);
  h.pass(1ms);
  EXPECT_EQ(h.waiting_calls<store::Due>(), 1u) << "the earlier one";
}

TEST(Delayed, EventsThatRedisHadNoRoomForLeaveNothingBehind) {
  CoreHarness h;
  h.publish(1, {due_in(1min)});
  h.answer(h.take_call<store::Append>().first, retry_later("OOM"));
  const FunctionState& f = *h.core.functions().at("f");
  EXPECT_EQ(f.counts.later, 0);
  EXPECT_EQ(f.arriving, 0u);
  EXPECT_FALSE(f.later.next_due_ms());
}

TEST(Delayed, EventsThatWaitedForRedisHaveTheWholeOfTheirTimeFromAcceptanceOn) {
  CoreHarness h;
  h.publish(1, {h.event()});  // under way, and it stays so for a while
  const auto first = h.take_call<store::Append>();
  h.publish(1, {h.event(protocol::PublishOptions{.delay = 80, .max_age = 100})}, false, "d");
  h.pass(70ms);
  h.answer(first.first, store::Answer{store::Appended{}});
  const auto item = h.take_call<store::Append>().second.delayed.at(0).items.at(0);
  EXPECT_EQ(item.accepted_ms, to_ms(h.now.wall));
  EXPECT_EQ(item.due_ms, item.accepted_ms + 81);
}

TEST(Delayed, EventsPlacedWhileLaterIsReadAreNotForgotten) {
  CoreHarness h;
  publish_for(h, to_ms(h.now.wall) + 1000);
  h.pass(1s);
  const auto reading = h.take_call<store::Due>().first;
  h.publish(2, {due_in(5ms)});
  h.pass(10ms);
  h.answer(h.take_call<store::Append>().first, store::Answer{store::Appended{}});
  h.answer(reading, store::Answer{store::DueRows{}});
  EXPECT_EQ(asked_for_due(h), 1u);
}

TEST(Delayed, ByMonthsAreNotReadBeforeTheirTime) {
  CoreHarness h;
  publish_for(h, to_ms(h.now.wall) + kMonths.count());
  h.now.wall += kMonths - 1ms;
  EXPECT_EQ(asked_for_due(h), 0u);
  EXPECT_GE(h.core.until_next_tick(h.now), 0ms);
  h.now.wall += 1ms;
  EXPECT_EQ(asked_for_due(h), 1u);
}

// A function's retry.max_age is a day, if it says nothing else.
TEST(Delayed, ByMonthsAreAsYoungAsOthersWhenTheirTimeComes) {
  CoreHarness h;
  h.join();
  const std::int64_t due_ms = publish_for(h, to_ms(h.now.wall) + kMonths.count());
  h.now.wall += kMonths;
  EXPECT_EQ(asked_for_due(h), 1u);
  store::DueRows::Row row;
  row.id = {{1'700'000'000'000, 0}, 0};
  row.due_ms = due_ms;
  row.accepted_ms = due_ms - kMonths.count();
  row.packed_event = h.event(protocol::PublishOptions{.deliver_at = due_ms});
  row.token = protocol::make_token(1, 0);
  h.answer(h.take_call<store::Due>().first, store::Answer{store::DueRows{{row}, {}, {}}});
  EXPECT_EQ(h.delivered().size(), 1u);
  EXPECT_EQ(h.waiting_calls<store::Bury>(), 0u);
}

TEST(Delayed, AreReadByWhatTheClockSaysWhereverItSteps) {
  CoreHarness h;
  const std::int64_t due_ms = publish_for(h, to_ms(h.now.wall) + 7'200'000);
  h.now.wall += 1h;  // by somebody's hand
  EXPECT_EQ(asked_for_due(h), 0u);
  h.now.wall -= 2h;
  EXPECT_EQ(asked_for_due(h), 0u);
  h.now.wall += 3h;
  EXPECT_EQ(asked_for_due(h), 1u);
  EXPECT_EQ(h.take_call<store::Due>().second.until_ms, due_ms) << "nothing that lies ahead";
}

TEST(Delayed, AreStillThereWhenTheClockStepsBackAfterTheyWereRead) {
  CoreHarness h;
  h.join();
  const std::int64_t due_ms = publish_for(h, to_ms(h.now.wall) + 1000);
  h.pass(1s);
  const auto reading = h.take_call<store::Due>().first;
  h.now.wall -= 1h;
  store::DueRows::Row row;
  row.id = {{1'700'000'000'000, 0}, 0};
  row.due_ms = due_ms;
  row.packed_event = h.event(protocol::PublishOptions{.deliver_at = due_ms});
  row.token = protocol::make_token(1, 0);
  h.answer(reading, store::Answer{store::DueRows{{row}, {}, {}}});
  EXPECT_EQ(h.delivered().size(), 1u) << "it was due by this clock once, and is lent once";
  EXPECT_EQ(asked_for_due(h), 0u);
}

// Its time had come when it was cut.
TEST(Delayed, AreNotLentWhenTheClockStepsBackBeforeTheirAppendIsAnswered) {
  CoreHarness h;
  h.join();
  h.publish(1, {h.event(protocol::PublishOptions{.deliver_at = to_ms(h.now.wall)})});
  const auto [ticket, append] = h.take_call<store::Append>();
  ASSERT_EQ(append.streams.size(), 1u);
  h.now.wall -= 1h;
  h.answer(ticket, store::Answer{store::Appended{}});
  EXPECT_TRUE(h.delivered().empty());
  EXPECT_EQ(h.waiting_calls<store::Postpone>(), 1u);
}

}  // namespace
}  // namespace fanfare::broker
