#include "broker/config.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

Result<CoreOptions> load(std::string_view toml, Environment environment = {}) {
  Config config;
  const ConfigSpec spec = config_spec(config);
  const auto loaded = load_config_text(
      spec, {.file = "fanfare.toml", .other_sections = {"worker"}, .environment = environment},
      toml);
  if (!loaded) return loaded.error();
  return core_options(config);
}

TEST(BrokerConfig, DefaultsMakeADurableBroker) {
  const auto options = load("");
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->durability, Durability::kFsync);
  EXPECT_EQ(options->event_bytes_max, 1u << 20);
}

TEST(BrokerConfig, AnUnknownKeyStopsItAndNamesTheNearestOne) {
  const auto options = load("[broker]\ndurabilty = \"memory\"\n");
  ASSERT_FALSE(options);
  EXPECT_NE(options.error().message.find("durability"), std::string::npos)
      << options.error().message;
}

TEST(BrokerConfig, AnUnknownDurabilityClassNamesTheKnownOnes) {
  const auto options = load("[broker]\ndurability = \"always\"\n");
  ASSERT_FALSE(options);
  EXPECT_NE(options.error().message.find("everysec"), std::string::npos) << options.error().message;
}

TEST(BrokerConfig, ALeaseMustOutliveTwoHeartbeats) {
  EXPECT_FALSE(load("[broker]\nlease = \"3s\"\nheartbeat = \"2s\"\n"));
  EXPECT_TRUE(load("[broker]\nlease = \"4s\"\nheartbeat = \"2s\"\n"));
}

TEST(BrokerConfig, TheEnvironmentOverridesTheFile) {
  const auto options =
      load("[broker]\ndurability = \"fsync\"\n", {{"FANFARE_BROKER_DURABILITY", "memory"}});
  ASSERT_TRUE(options) << options.error().message;
  EXPECT_EQ(options->durability, Durability::kMemory);
}

TEST(BrokerConfig, EndpointsBeyondThisMachineAreRefused) {
  EXPECT_TRUE(check_endpoint("ipc:///run/fanfare/broker.ipc"));
  EXPECT_TRUE(check_endpoint("tcp://127.0.0.1:7400"));
  for (const char* beyond : {"tcp://0.0.0.0:7400", "tcp://*:7400", "tcp://10.0.0.1:7400"}) {
    EXPECT_FALSE(check_endpoint(beyond)) << beyond;
  }
}

}  // namespace
}  // namespace fanfare::broker
