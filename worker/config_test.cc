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

TEST(WorkerConfig, ANameThatNoBrokerTakesIsRefusedAtOnce) {
  Config config;
  config.instance = "/bin/true";
  config.name = "a\nb";
  const auto refused = core_options(config);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("[worker] name"));
  config.name = "web-3.example.org";
  EXPECT_TRUE(core_options(config));
}

}  // namespace
}  // namespace fanfare::worker
