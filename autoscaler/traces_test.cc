// The scaler on loads that were recorded (traces/record says how): what people would see of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <fstream>
#include <string>
#include <vector>

#include "autoscaler/scaler.h"

namespace fanfare::autoscaler {
namespace {

using namespace std::chrono_literals;

struct Row {
  Duration at;
  double demand;
};

std::vector<Row> read_trace(const std::string& name) {
  std::ifstream file(FANFARE_SOURCE_DIR "/autoscaler/traces/" + name + ".csv");
  std::string line;
  std::getline(file, line);  // the heading
  std::vector<Row> rows;
  while (std::getline(file, line)) {
    const auto comma = line.find(',');
    const auto ms = static_cast<std::int64_t>(std::stod(line.substr(0, comma)) * 1000);
    rows.push_back({std::chrono::milliseconds{ms}, std::stod(line.substr(comma + 1))});
  }
  if (rows.size() < 30) throw std::runtime_error("no trace " + name);
  return rows;
}

struct Tick {
  Duration at;
  double demand = 0;
  std::uint32_t ready = 0;
  Decision decision;
};

constexpr double kSlots = 10;

// Replays a trace. A worker that is wanted is there two ticks later; one that is not, at once.
std::vector<Tick> replay(const std::vector<Row>& trace, const ScalerOptions& options) {
  Scaler scaler(options);
  std::vector<Tick> ticks;
  std::deque<std::uint32_t> coming{options.min, options.min};
  for (const Row& row : trace) {
    Tick tick{.at = row.at, .demand = row.demand, .ready = coming.front()};
    coming.pop_front();
    tick.decision = scaler.decide(TimePoint{1h} + row.at,
                                  {.demand = row.demand, .ready = tick.ready, .slots = kSlots});
    const std::uint32_t wanted = tick.decision.desired;
    for (std::uint32_t& later : coming) later = std::min(later, wanted);
    coming.push_back(wanted);
    ticks.push_back(std::move(tick));
  }
  return ticks;
}

std::size_t changes_of_direction(const std::vector<Tick>& ticks) {
  std::size_t changes = 0;
  int before = 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    const auto from = ticks[i - 1].decision.desired, to = ticks[i].decision.desired;
    const int now = to > from ? 1 : to < from ? -1 : before;
    changes += before != 0 && now != before;
    before = now;
  }
  return changes;
}

// Of the ticks with something to do, those with slots enough for it.
double served(const std::vector<Tick>& ticks) {
  const auto busy = std::ranges::count_if(ticks, [](const Tick& t) { return t.demand > 0; });
  const auto enough = std::ranges::count_if(
      ticks, [](const Tick& t) { return t.demand > 0 && t.ready * kSlots >= t.demand; });
  return static_cast<double>(enough) / static_cast<double>(busy);
}

std::uint32_t most(const std::vector<Tick>& ticks) {
  return std::ranges::max(ticks, {}, [](const Tick& t) { return t.decision.desired; })
      .decision.desired;
}

class Traces : public ::testing::TestWithParam<const char*> {};

TEST_P(Traces, AreFollowedWithinTheBounds) {
  const ScalerOptions options{.min = 1, .max = 40};
  const auto ticks = replay(read_trace(GetParam()), options);
  for (std::size_t i = 0; i < ticks.size(); ++i) {
    const Decision& now = ticks[i].decision;
    EXPECT_GE(now.desired, options.min);
    EXPECT_LE(now.desired, options.max);
    EXPECT_FALSE(now.reason.empty());
    if (i == 0) continue;
    const Decision& before = ticks[i - 1].decision;
    if (now.panicking && before.panicking) {
      EXPECT_GE(now.desired, before.desired) << "at " << to_ms(ticks[i].at) << " ms, in panic";
    }
    EXPECT_GE(now.desired, before.desired / 2) << "at " << to_ms(ticks[i].at) << " ms";
  }
}

INSTANTIATE_TEST_SUITE_P(All, Traces, ::testing::Values("burst", "ramp", "spikes", "tide"));

TEST(TraceOfABurst, HasItsWorkersInTwoTicksAndIsForgottenAMinuteAfterIt) {
  const auto ticks = replay(read_trace("burst"), {.min = 1, .max = 40});
  const auto first = std::ranges::find_if(ticks, [](const Tick& t) { return t.demand > 100; });
  ASSERT_GT(ticks.end() - first, 2);
  EXPECT_TRUE(first->decision.panicking);
  EXPECT_GE((first + 2)->decision.desired, 30u);
  EXPECT_EQ(ticks.back().decision.desired, 1u);
  EXPECT_EQ(changes_of_direction(ticks), 1u) << "up, and down again";
}

TEST(TraceOfARamp, IsAheadOfTheDemandAndComesDownOnce) {
  const auto ticks = replay(read_trace("ramp"), {.min = 1, .max = 40});
  EXPECT_GE(served(ticks), 0.9);
  EXPECT_LE(changes_of_direction(ticks), 1u);
  EXPECT_LE(most(ticks), 10u) << "30 deliveries at a time keep 5 workers busy";
}

TEST(TraceOfATide, MovesWithItAndNotWithItsWaves) {
  const auto ticks = replay(read_trace("tide"), {.min = 1, .max = 40});
  EXPECT_GE(served(ticks), 0.95);
  EXPECT_LE(changes_of_direction(ticks), 3u) << "it turns three times";
}

// Four spikes, 40 s apart: what the first has brought is held for a minute.
TEST(TraceOfSpikes, IsNotFollowedUpAndDownEachTime) {
  const auto ticks = replay(read_trace("spikes"), {.min = 1, .max = 40});
  EXPECT_LE(changes_of_direction(ticks), 3u) << "each up and down would be seven";
}

}  // namespace
}  // namespace fanfare::autoscaler
