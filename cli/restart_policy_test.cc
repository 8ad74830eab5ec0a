#include "cli/restart_policy.h"

#include <gtest/gtest.h>

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;

TEST(RestartPolicy, WaitsLongerEachTimeUpToTenSeconds) {
  RestartPolicy policy;
  EXPECT_EQ(policy.next_pause(0s), 100ms);
  EXPECT_EQ(policy.next_pause(1s), 200ms);
  EXPECT_EQ(policy.next_pause(0s), 400ms);
  for (int i = 0; i < 10; ++i) policy.next_pause(0s);
  EXPECT_EQ(policy.next_pause(0s), 10s);
}

TEST(RestartPolicy, ForgivesAChildThatLivedLong) {
  RestartPolicy policy;
  for (int i = 0; i < 10; ++i) policy.next_pause(0s);
  EXPECT_EQ(policy.next_pause(30s), 100ms);
  EXPECT_EQ(policy.next_pause(0s), 200ms);
}

}  // namespace
}  // namespace fanfare::cli
