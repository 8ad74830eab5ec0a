// What a worker's heartbeats say of what runs.
#include <gtest/gtest.h>

#include <algorithm>

#include "worker/core_fixture.h"

namespace fanfare::worker {
namespace {

// Four instances at one delivery each; nothing has been heard of them yet.
struct Busy : Worker {
  explicit Busy(std::uint32_t slots = 4)
      : Worker({.name = "w1", .host = "boot", .pid = 7, .slots = slots, .forks_at_once = slots}) {
    join();
    deliver_entries(1, slots);
    for (const InstanceId id : effects.forked) {
      effects.now_running[id] = {effects.batches[id].front().number, 0, now.steady};
    }
    sent<protocol::Heartbeat>();
  }
  InstanceId instance(std::size_t i) const { return effects.forked.at(i); }
  protocol::EventId delivery_of(std::size_t i) {
    return effects.batches.at(instance(i)).front().ids.front();
  }
};

TEST(WorkerRunning, AHeartbeatNamesWhatRunsAndForHowLong) {
  Busy w;
  w.pass(1999ms);
  ASSERT_TRUE(w.sent<protocol::Heartbeat>().empty());
  w.pass(1ms);
  const auto beats = w.sent<protocol::Heartbeat>();
  ASSERT_EQ(beats.size(), 1u);
  ASSERT_EQ(beats[0].running.size(), 4u);
  for (const auto& attempt : beats[0].running) {
    EXPECT_EQ(attempt.function, "f");
    EXPECT_EQ(attempt.token.value, 0x1001u);
    EXPECT_EQ(attempt.running_ms, 2000u);
    EXPECT_FALSE(attempt.progress);
  }
}

TEST(WorkerRunning, NewsOfProgressGoesOutWithinAQuarterOfASecondAndNoMoreOften) {
  Busy w;
  w.effects.reported[w.instance(1)] = {.fraction = 0.42, .note = "page 3 of 7"};
  w.pass(250ms);
  const auto first = w.sent<protocol::Heartbeat>();
  ASSERT_EQ(first.size(), 1u);
  const auto at =
      std::ranges::find(first[0].running, w.delivery_of(1), &protocol::RunningAttempt::id);
  ASSERT_NE(at, first[0].running.end());
  EXPECT_EQ(at->progress, 420'000u);
  EXPECT_EQ(at->note, "page 3 of 7");
  EXPECT_EQ(std::ranges::count_if(first[0].running, [](const auto& a) { return !!a.progress; }), 1);

  w.pass(250ms);
  EXPECT_TRUE(w.sent<protocol::Heartbeat>().empty()) << "nothing has changed";
  std::size_t beats = 0;
  for (int step = 0; step < 100; ++step) {  // a second of a function that reports all the time
    w.effects.reported[w.instance(1)].fraction = 0.5 + step / 1000.0;
    w.pass(10ms);
    beats += w.sent<protocol::Heartbeat>().size();
  }
  EXPECT_EQ(beats, 4u);
}

TEST(WorkerRunning, ProgressIsNotBookedToTheItemThatCameNext) {
  Busy w;
  const InstanceId id = w.instance(0);
  w.effects.reported[id] = {.fraction = 0.9, .note = ""};
  w.effects.progress_read = [&] { w.effects.now_running.erase(id); };
  w.pass(2000ms);
  for (const auto& beat : w.sent<protocol::Heartbeat>()) {
    for (const auto& attempt : beat.running) EXPECT_FALSE(attempt.progress);
  }
}

TEST(WorkerRunning, OfManyThoseWithProgressAreNamedAndThenTheLongest) {
  Busy w(300);
  for (std::size_t i = 0; i < 300; ++i) {
    auto& running = w.effects.now_running[w.instance(i)];
    running.started_at = w.now.steady - std::chrono::seconds{i};
  }
  w.effects.reported[w.instance(0)] = {.fraction = 0, .note = ""};  // the youngest of all
  w.pass(250ms);
  const auto beats = w.sent<protocol::Heartbeat>();
  ASSERT_EQ(beats.size(), 1u);
  ASSERT_EQ(beats[0].running.size(), protocol::kRunningInHeartbeatMax);
  std::uint32_t youngest = UINT32_MAX;
  bool named = false;
  for (const auto& attempt : beats[0].running) {
    if (attempt.progress) {
      named = attempt.id == w.delivery_of(0);
    } else {
      youngest = std::min(youngest, attempt.running_ms);
    }
  }
  EXPECT_TRUE(named);
  EXPECT_EQ(youngest, 45'250u) << "255 others, the longest first";
}

TEST(WorkerRunning, AWorkerWithNothingToDoLooksAtNothing) {
  Worker w;
  w.join();
  w.pass(100ms);
  EXPECT_GT(w.core->until_next_tick(w.now), 250ms);
}

}  // namespace
}  // namespace fanfare::worker
