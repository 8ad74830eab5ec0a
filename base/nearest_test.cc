#include "base/nearest.h"

#include <gtest/gtest.h>

namespace fanfare {
namespace {

const std::vector<std::string> kKnown{"endpoint", "lease", "max_event_bytes", "slots"};

TEST(Nearest, FindsWhatWasMistyped) {
  EXPECT_EQ(nearest("endpiont", kKnown), "endpoint");
  EXPECT_EQ(nearest("leese", kKnown), "lease");
  EXPECT_EQ(nearest("max_events_byte", kKnown), "max_event_bytes");
  EXPECT_EQ(nearest("slot", kKnown), "slots");
}

TEST(Nearest, FindsNothingWhenNothingIsNear) {
  EXPECT_EQ(nearest("colour", kKnown), "");
  EXPECT_EQ(nearest("", kKnown), "");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(Nearest, PrefersTheNearer) {
  EXPECT_EQ(nearest("worker", {"workers", "worked", "worker_"}), "workers");
  EXPECT_EQ(nearest("cat", {"cart", "cat"}), "cat");
}

}  // namespace
}  // namespace fanfare
