#include "autoscaler/scaler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::autoscaler {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Ticks of 2 s, with workers of 10 slots of which 7 should be busy.
class Ticking {
 public:
  explicit Ticking(ScalerOptions options) : scaler(options) {}
  Decision tick(double demand, std::uint32_t ready) {
    now += 2s;
    return scaler.decide(now, {.demand = demand, .ready = ready, .slots = 10});
  }
  // So many ticks alike; the last one's decision.
  Decision ticks(int count, double demand, std::uint32_t ready) {
    Decision last;
    for (int i = 0; i < count; ++i) last = tick(demand, ready);
    return last;
  }
  TimePoint now{1h};
  Scaler scaler;
};

TEST(Scaler, WantsAsManyWorkersAsTheDemandKeepsBusy) {
  Ticking quiet({.min = 0, .max = 100});
  EXPECT_EQ(quiet.tick(0, 0).desired, 0u);
  Ticking one({.min = 0, .max = 100});
  EXPECT_EQ(one.tick(7, 1).desired, 1u);
  Ticking two({.min = 0, .max = 100});
  EXPECT_EQ(two.tick(7.1, 1).desired, 2u);
  Ticking many({.min = 0, .max = 100});
  EXPECT_EQ(many.tick(70, 0).desired, 10u);
}

// Workers of other hosts, or that somebody has started by hand, do their part.
TEST(Scaler, LeavesToOthersWhatKeepsThemBusy) {
  const auto decide = [](double demand, double elsewhere) {
    Scaler scaler({.min = 0, .max = 100});
    return scaler.decide(TimePoint{1h},
                         {.demand = demand, .ready = 0, .slots = 10, .elsewhere = elsewhere});
  };
  EXPECT_EQ(decide(35, 0).desired, 5u);
  const Decision shared = decide(35, 30);
  EXPECT_EQ(shared.desired, 2u) << "21 of them are the others'";
  EXPECT_THAT(shared.reason, HasSubstr("14.0 deliveries over 1m"));
  EXPECT_THAT(shared.reason, HasSubstr("7 a worker, and 21 at others: 2 wanted"));
  EXPECT_EQ(decide(35, 1000).desired, 0u);
}

TEST(Scaler, StaysWithinItsBounds) {
  Ticking bounded({.min = 2, .max = 5});
  EXPECT_EQ(bounded.tick(0, 1).desired, 2u);
  const Decision most = bounded.tick(1000, 2);
  EXPECT_EQ(most.desired, 5u);
  EXPECT_THAT(most.reason, HasSubstr("5 are the most"));
}

TEST(Scaler, FollowsTheMinuteInQuietTimes) {
  Ticking s({.min = 0, .max = 100});
  s.ticks(30, 70, 1);  // a panic, from 1 to 10
  s.ticks(40, 70, 10);
  Decision now = s.tick(70, 10);
  EXPECT_FALSE(now.panicking);
  EXPECT_EQ(now.desired, 10u);
  // Half the demand shows in the average bit by bit.
  now = s.tick(35, 10);
  EXPECT_EQ(now.desired, 10u);
  now = s.ticks(15, 35, 10);
  EXPECT_GT(now.desired, 5u);
  EXPECT_LT(now.desired, 10u);
  now = s.ticks(15, 35, 10);
  EXPECT_EQ(now.desired, 5u);
}

TEST(Scaler, PanicsWhenTheLastSecondsWantTwiceAsMany) {
  Ticking s({.min = 1, .max = 100});
  s.ticks(60, 7, 1);
  // 30 of these in a minute's average of 30 samples are one each; three samples are the panic's.
  Decision now = s.tick(140, 1);
  EXPECT_TRUE(now.panicking);
  EXPECT_EQ(now.desired, 8u) << "(7 + 7 + 140) / 3 / 7, rounded up";
  EXPECT_THAT(now.reason, HasSubstr("(panic)"));
  now = s.tick(140, 8);
  EXPECT_EQ(now.desired, 14u);
  now = s.tick(140, 14);
  EXPECT_EQ(now.desired, 20u);
}

TEST(Scaler, TakesNothingAwayWhileItPanicsAndForAMinuteAfterIt) {
  Ticking s({.min = 1, .max = 100});
  s.ticks(60, 7, 1);
  s.ticks(3, 140, 1);
  for (int i = 0; i < 30; ++i) {
    const Decision now = s.tick(0, 20);
    EXPECT_EQ(now.desired, 20u) << "tick " << i;
    EXPECT_TRUE(now.panicking);
    EXPECT_THAT(now.reason, HasSubstr("held for now"));
  }
  const Decision after = s.tick(0, 20);
  EXPECT_FALSE(after.panicking);
  EXPECT_EQ(after.desired, 10u) << "half of what there is, in one decision";
}

TEST(Scaler, HalvesWhatThereIsAtMost) {
  Ticking s({.min = 0, .max = 100});
  s.ticks(40, 0, 0);
  s.ticks(40, 560, 80);
  EXPECT_EQ(s.ticks(31, 0, 80).desired, 40u);
  EXPECT_EQ(s.tick(0, 40).desired, 20u);
  EXPECT_EQ(s.tick(0, 3).desired, 1u);
  EXPECT_EQ(s.tick(0, 1).desired, 0u);
}

TEST(Scaler, GrowsNoFasterThanItsRate) {
  Ticking s({.min = 1, .max = 100, .scale_up_rate_max = 3});
  const Decision now = s.tick(7000, 2);
  EXPECT_EQ(now.desired, 6u);
  EXPECT_THAT(now.reason, HasSubstr("not faster"));
}

// Of a few workers that run already nothing is known: they stay for a window.
TEST(Scaler, KeepsWhatItFindsForAWindow) {
  Ticking s({.min = 0, .max = 100});
  EXPECT_EQ(s.ticks(31, 0, 8).desired, 8u);
  EXPECT_EQ(s.ticks(2, 0, 8).desired, 4u);
}

TEST(Scaler, KeepsTheLastWorkerForAWindowAfterAStart) {
  Ticking s({.min = 0, .max = 100});
  EXPECT_EQ(s.ticks(31, 0, 1).desired, 1u);
  EXPECT_EQ(s.ticks(2, 0, 1).desired, 0u);
}

// As while the broker is away: one sample says nothing of a minute.
TEST(Scaler, KeepsWhatItFindsAfterAGapAsAfterAStart) {
  Ticking s({.min = 1, .max = 100});
  s.ticks(80, 70, 10);
  s.now += 90s;
  EXPECT_EQ(s.ticks(31, 0, 10).desired, 10u);
  EXPECT_EQ(s.ticks(2, 0, 10).desired, 5u);
}

// A driver whose answer takes longer than the window: each tick is the first in a window, and not
// after a start.
TEST(Scaler, TakesWorkersAwayAlsoIfATickTakesLongerThanTheWindow) {
  Scaler scaler({.min = 1, .max = 100});
  TimePoint now{1h};
  const auto tick = [&](double demand, std::uint32_t ready) {
    now += 90s;
    return scaler.decide(now, {.demand = demand, .ready = ready, .slots = 10});
  };
  EXPECT_EQ(tick(0, 8).desired, 8u) << "as after any start";
  EXPECT_EQ(tick(0, 8).desired, 8u) << "how long ticks take is known from now on";
  EXPECT_EQ(tick(0, 8).desired, 4u);
  EXPECT_EQ(tick(0, 4).desired, 2u);
  now += 5min;
  EXPECT_EQ(tick(0, 4).desired, 4u) << "three of them and more is a gap";
}

// The burst that was wanted more than `max` for is held, and there is still too much to do.
TEST(Scaler, SaysInAPanicThatThereMayBeNoMore) {
  Ticking s({.min = 1, .max = 5});
  s.ticks(3, 1000, 1);
  const Decision now = s.ticks(3, 500, 5);
  EXPECT_TRUE(now.panicking);
  EXPECT_EQ(now.desired, 5u);
  EXPECT_EQ(now.limit, Limit::kMost);
  EXPECT_THAT(now.reason, HasSubstr("5 are the most (panic)"));
  const Decision after = s.ticks(12, 14, 5);
  EXPECT_TRUE(after.panicking);
  EXPECT_EQ(after.limit, Limit::kMost) << "over the minute more than five are wanted still";
  const Decision held = s.ticks(18, 14, 5);
  EXPECT_TRUE(held.panicking);
  EXPECT_EQ(held.desired, 5u);
  EXPECT_EQ(held.limit, Limit::kHeld) << "two would do";
}

TEST(Scaler, WantsFewerOnlyAfterTheDelay) {
  Ticking s({.min = 0, .max = 100, .scale_down_delay = 20s});
  s.ticks(40, 7, 1);
  s.ticks(30, 21, 3);
  s.ticks(40, 21, 3);
  int held = 0;
  while (s.tick(0, 3).desired == 3) ++held;
  Ticking without({.min = 0, .max = 100});
  without.ticks(40, 7, 1);
  without.ticks(30, 21, 3);
  without.ticks(40, 21, 3);
  int held_without = 0;
  while (without.tick(0, 3).desired == 3) ++held_without;
  EXPECT_EQ(held - held_without, 10) << "20 s are 10 ticks";
}

TEST(Scaler, CoolsDownAfterAChange) {
  Ticking s({.min = 0, .max = 100, .cooldown = 30s});
  s.ticks(60, 0, 1);
  EXPECT_EQ(s.tick(0, 2).desired, 2u) << "there is another one than before";
  EXPECT_EQ(s.ticks(14, 0, 2).desired, 2u);
  EXPECT_EQ(s.tick(0, 2).desired, 1u);
}

TEST(Scaler, SaysWhichBoundDoesNotHold) {
  const auto why = [](ScalerOptions options) {
    const auto fine = check(options);
    return fine ? std::string{} : fine.error().message;
  };
  EXPECT_EQ(why({}), "");
  EXPECT_THAT(why({.min = 3, .max = 2}), HasSubstr("min is 3 and max 2"));
  EXPECT_THAT(why({.min = 0, .max = 0}), HasSubstr("max is 0"));
  EXPECT_THAT(why({.stable_window = 5s}), HasSubstr("stable_window"));
  EXPECT_THAT(why({.panic_window = 0}), HasSubstr("panic_window"));
  EXPECT_THAT(why({.panic_threshold = 1}), HasSubstr("panic_threshold"));
  EXPECT_THAT(why({.utilisation = 1.5}), HasSubstr("utilisation"));
  EXPECT_THAT(why({.scale_up_rate_max = 1}), HasSubstr("scale_up_rate_max"));
  EXPECT_THAT(why({.scale_down_rate_max = NAN}), HasSubstr("scale_down_rate_max"));
  EXPECT_THAT(why({.cooldown = 2h}), HasSubstr("cooldown"));
}

}  // namespace
}  // namespace fanfare::autoscaler
