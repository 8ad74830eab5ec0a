#include "broker/claim_table.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;
using State = ClaimTable::State;

ClaimKey key_number(std::uint32_t number) {
  return {static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8),
          static_cast<std::uint8_t>(number >> 16)};
}
Claimed by_event(std::uint64_t ms) {
  return {{{ms, 0}, 0}, std::nullopt, std::make_shared<const std::vector<std::string>>()};
}

class Table : public ::testing::Test {
 protected:
  // As an event does that is looked up, found to be new, journaled and acknowledged.
  void make(ClaimTable& table, const ClaimKey& of, std::uint64_t ms) {
    if (table.want(of, now)) table.on_looked_up(of, std::nullopt);
    table.claim(of, by_event(ms));
    table.let_go(of);
    table.confirm(of, now);
  }

  TimePoint now = TimePoint{} + 1h;
  ClaimTable claims{{.window = 5min, .kept_max = 100, .journaled = true}};
  const ClaimKey key = key_number(1);
};

TEST_F(Table, AsksOnceForAKeyThatManyWant) {
  EXPECT_TRUE(claims.want(key, now));
  EXPECT_FALSE(claims.want(key, now));
  EXPECT_EQ(claims.state(key), State::kUnknown);
  claims.on_looked_up(key, by_event(7));
  EXPECT_EQ(claims.state(key), State::kTaken);
  EXPECT_EQ(claims.holder(key)->event.entry.ms, 7u);
  claims.let_go(key);
  claims.let_go(key);
  EXPECT_EQ(claims.held(), 0u);
  EXPECT_TRUE(claims.want(key, now)) << "how long it stays taken only Redis knows";
}

TEST_F(Table, KeepsAClaimUnderWayUntilItsAppendIsAnswered) {
  claims.want(key, now);
  claims.on_looked_up(key, std::nullopt);
  claims.claim(key, by_event(7));
  claims.let_go(key);
  EXPECT_FALSE(claims.want(key, now));
  EXPECT_EQ(claims.state(key), State::kUnderWay);
  claims.confirm(key, now);
  EXPECT_EQ(claims.state(key), State::kTaken);
}

TEST_F(Table, FreesAClaimWhoseAppendFailed) {
  claims.want(key, now);
  claims.on_looked_up(key, std::nullopt);
  claims.claim(key, by_event(7));
  claims.let_go(key);
  claims.want(key, now);
  claims.release(key);
  EXPECT_EQ(claims.state(key), State::kFree);
  EXPECT_EQ(claims.holder(key), nullptr);
  claims.let_go(key);
  EXPECT_EQ(claims.held(), 0u);
}

TEST_F(Table, KnowsWhatWasMadeLatelyForTheLengthOfTheWindow) {
  make(claims, key, 7);
  EXPECT_EQ(claims.held(), 0u);
  EXPECT_FALSE(claims.want(key, now + 5min - 1ns));
  EXPECT_EQ(claims.holder(key)->event.entry.ms, 7u);
  claims.let_go(key);
  EXPECT_TRUE(claims.want(key, now + 5min));
}

TEST_F(Table, AnAnswerThatComesTooLateChangesNothing) {
  claims.want(key, now);
  claims.on_looked_up(key, std::nullopt);
  claims.claim(key, by_event(7));
  claims.on_looked_up(key, std::nullopt);
  EXPECT_EQ(claims.state(key), State::kUnderWay);
  claims.on_looked_up(key_number(2), std::nullopt);  // nobody wants it any more
}

TEST_F(Table, KeepsNoMoreThanItMayButAlwaysTheLatest) {
  for (std::uint32_t n = 0; n < 1000; ++n) {
    make(claims, key_number(n), n);
    ASSERT_LE(claims.kept(), 100u);
  }
  for (std::uint32_t n = 951; n < 1000; ++n) EXPECT_FALSE(claims.want(key_number(n), now)) << n;
  EXPECT_TRUE(claims.want(key_number(0), now));
}

TEST_F(Table, NeverDropsWhatIsWanted) {
  make(claims, key, 7);
  claims.want(key, now);
  for (std::uint32_t n = 2; n < 1000; ++n) make(claims, key_number(n), n);
  EXPECT_EQ(claims.holder(key)->event.entry.ms, 7u);
}

TEST_F(Table, ForgetsWhatRedisMayHaveLostAndAsksForWhatIsWanted) {
  make(claims, key, 7);
  make(claims, key_number(2), 8);
  claims.want(key_number(2), now);
  claims.want(key_number(3), now);
  claims.on_looked_up(key_number(3), std::nullopt);
  claims.claim(key_number(3), by_event(9));
  EXPECT_EQ(claims.forget_taken(), std::vector<ClaimKey>{key_number(2)});
  EXPECT_EQ(claims.state(key_number(2)), State::kUnknown);
  EXPECT_EQ(claims.state(key_number(3)), State::kUnderWay) << "its append is repeated";
  EXPECT_TRUE(claims.want(key, now));
}

TEST_F(Table, WithoutAJournalHasNobodyToAsk) {
  ClaimTable alone({.window = 5min, .kept_max = 100, .journaled = false});
  EXPECT_FALSE(alone.want(key, now));
  EXPECT_EQ(alone.state(key), State::kFree);
  alone.let_go(key);
  make(alone, key, 7);
  EXPECT_FALSE(alone.want(key, now));
  EXPECT_EQ(alone.state(key), State::kTaken);
  alone.let_go(key);
  alone.want(key, now + 5min);
  EXPECT_EQ(alone.state(key), State::kFree);
}

}  // namespace
}  // namespace fanfare::broker
