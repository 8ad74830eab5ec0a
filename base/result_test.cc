#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace fanfare {
namespace {

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> value = 7;
  ASSERT_TRUE(value);
  EXPECT_EQ(*value, 7);
  const Result<int> error = retry_later("full");
  ASSERT_FALSE(error);
  EXPECT_EQ(error.error().kind, ErrorKind::kRetryLater);
  EXPECT_EQ(error.error().message, "full");
}

TEST(Result, GivesItsValueAway) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(7);
  const std::unique_ptr<int> taken = *std::move(result);
  EXPECT_EQ(*taken, 7);
}

TEST(Result, OfNothingIsSuccessOrAnError) {
  EXPECT_TRUE(Result<void>());
  EXPECT_FALSE(Result<void>(stale("gone")));
}

TEST(ResultDeathTest, EndsTheProcessWhenAFailureIsAskedForItsValue) {
  const Result<int> error = reject("no");
  EXPECT_DEATH(static_cast<void>(error.value()), "");
}

TEST(ErrorKind, HasANameForPeople) {
  EXPECT_EQ(to_string(ErrorKind::kStale), "stale");
}

}  // namespace
}  // namespace fanfare
