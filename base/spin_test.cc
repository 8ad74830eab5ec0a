#include "base/spin.h"

#include <gtest/gtest.h>

namespace fanfare {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kStart{1h};

// One that finds nothing; whether it was tried.
bool look_in_vain(Spin& spin) {
  if (!spin.begin(kStart)) return false;
  TimePoint now = kStart;
  while (spin.goes_on(now += 1us)) EXPECT_LE(now - kStart, Spin::kMax);
  return true;
}

std::uint32_t waits_until_next(Spin& spin) {
  std::uint32_t slept = 0;
  while (!look_in_vain(spin)) ++slept;
  return slept;
}

TEST(Spin, LooksForAMomentAndNoLonger) {
  Spin spin;
  ASSERT_TRUE(spin.begin(kStart));
  EXPECT_TRUE(spin.goes_on(kStart + 10us));
  EXPECT_TRUE(spin.goes_on(kStart + 30us));
  EXPECT_TRUE(spin.goes_on(kStart + Spin::kMax - 1us));
  EXPECT_FALSE(spin.goes_on(kStart + Spin::kMax));
}

TEST(Spin, RestsOnceSomebodyElseHasKeptTheCore) {
  Spin spin;
  ASSERT_TRUE(spin.begin(kStart));
  EXPECT_TRUE(spin.goes_on(kStart + 1us));
  EXPECT_FALSE(spin.goes_on(kStart + 3ms));
  EXPECT_FALSE(spin.begin(kStart + 4ms));
}

TEST(Spin, RestsTwiceAsLongEachTimeThatItWasInVain) {
  Spin spin;
  ASSERT_TRUE(look_in_vain(spin));
  for (std::uint32_t rest = 1; rest <= Spin::kRestMax; rest *= 2) {
    EXPECT_EQ(waits_until_next(spin), rest);
  }
  EXPECT_EQ(waits_until_next(spin), Spin::kRestMax) << "and no longer than that";
}

TEST(Spin, NoLongerRestsOnceItPays) {
  Spin spin;
  ASSERT_TRUE(look_in_vain(spin));
  for (const std::uint32_t rest : {1u, 2u, 4u, 8u}) EXPECT_EQ(waits_until_next(spin), rest);
  while (!spin.begin(kStart)) continue;
  spin.came();
  ASSERT_TRUE(look_in_vain(spin)) << "it goes on while it pays";
  EXPECT_EQ(waits_until_next(spin), 1u);
}

TEST(Spin, FindsWhatIsThere) {
  Spin spin;
  EXPECT_TRUE(look_for(spin, [] { return true; }));
}

TEST(Spin, ThatNeverPaysIsHardlyEverTried) {
  Spin spin;
  constexpr int kWaits = 20'000;
  int tried = 0;
  for (int i = 0; i < kWaits; ++i) tried += look_in_vain(spin) ? 1 : 0;
  EXPECT_LE(tried, 10 + kWaits / static_cast<int>(Spin::kRestMax));
}

}  // namespace
}  // namespace fanfare
