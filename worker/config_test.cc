#include "worker/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::worker {
namespace {

using ::testing::HasSubstr;

Result<std::string> address(const std::string& metrics, const std::string& number) {
  Config config;
  config.metrics = metrics;
  config.number = number;
  return metrics_address(config);
}

TEST(WorkerConfig, WorkersOfAHostHaveMetricsAtPortsOfTheirOwn) {
  EXPECT_EQ(*address("127.0.0.1:19300", "1"), "127.0.0.1:19301");
  EXPECT_EQ(*address("[::1]:19300", "12"), "[::1]:19312");
  EXPECT_EQ(*address("127.0.0.1:19300", ""), "127.0.0.1:19300");
  EXPECT_EQ(*address("", "1"), "");
}

TEST(WorkerConfig, AWorkerWhoseNumberIsNoneHasNoMetrics) {
  EXPECT_EQ(*address("127.0.0.1:19300", "gpu"), "");
  EXPECT_EQ(*address("127.0.0.1:19300", "1a"), "");
  EXPECT_EQ(*address("127.0.0.1:19300", "-1"), "");
}

TEST(WorkerConfig, APortThatCannotBeIsRefused) {
  EXPECT_THAT(address("127.0.0.1:65530", "6").error().message, HasSubstr("65536"));
  EXPECT_THAT(address("127.0.0.1:65530", "4294967295").error().message, HasSubstr("of 65535"));
  EXPECT_THAT(address("127.0.0.1", "1").error().message, HasSubstr("host:port"));
  EXPECT_THAT(address("127.0.0.1:http", "1").error().message, HasSubstr("host:port"));
}

}  // namespace
}  // namespace fanfare::worker
