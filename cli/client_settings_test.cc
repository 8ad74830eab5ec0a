#include "cli/client_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/zmq_key.h"
#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

using testing::HasSubstr;

constexpr const char* kFar = "tcp://broker.example.org:7400";

class ClientSettingsTest : public testing::Test {
 protected:
  ClientSettingsTest() : came_from_(std::filesystem::current_path()) {
    setenv("XDG_CONFIG_HOME", dir_.path().c_str(), 1);
    unsetenv("FANFARE_DATA");
    std::filesystem::create_directories(dir_.file("fanfare"));
    std::filesystem::create_directories(dir_.file("elsewhere"));
    std::filesystem::current_path(dir_.file("elsewhere"));
  }
  ~ClientSettingsTest() override {
    std::filesystem::current_path(came_from_);
    unsetenv("XDG_CONFIG_HOME");
    unsetenv("FANFARE_CLIENT_BROKER");
  }
  void write(const std::string& text) { std::ofstream(dir_.file("fanfare/client.toml")) << text; }
  void write_far() {
    write(std::string("[client]\nbroker = '") + kFar +
          "'\nbroker_key = 'a'\ncurve_secret_key_file = 'b'\nredis = 'redis://far:6379'\n");
  }
  static Address completed(const Address& given) {
    const auto address = with_client_settings(given);
    EXPECT_TRUE(address) << address.error().message;
    return address ? *address : Address{};
  }

  test::TempDir dir_;
  std::filesystem::path came_from_;
};

TEST_F(ClientSettingsTest, ABrokerElsewhereComesWithItsKeysAndItsRedis) {
  write_far();
  const Address address = completed({});
  EXPECT_EQ(address.broker, kFar);
  EXPECT_EQ(address.broker_key, "a");
  EXPECT_EQ(address.key_file, "b");
  EXPECT_EQ(address.redis, "redis://far:6379");
}

TEST_F(ClientSettingsTest, WhatIsNamedOrHereGoesFirst) {
  write_far();
  EXPECT_EQ(completed({.data = "/srv/data", .broker = {}, .redis = {}}).broker, "");
  const Address local = completed({.data = {}, .broker = "ipc:///b", .redis = {}});
  EXPECT_EQ(local.broker, "ipc:///b");
  EXPECT_EQ(local.broker_key, "");
  EXPECT_EQ(local.redis, "");
  const Address other = completed({.data = {}, .broker = "tcp://10.0.0.9:1", .redis = {}});
  EXPECT_EQ(other.key_file, "b") << "one key may be allowed by several brokers";
  EXPECT_EQ(other.redis, "");
  std::filesystem::create_directory(kDefaultDataDir);
  EXPECT_EQ(completed({}).broker, "");
}

TEST_F(ClientSettingsTest, TheEnvironmentGoesBeforeTheFile) {
  write_far();
  setenv("FANFARE_CLIENT_BROKER", "tcp://10.0.0.7:7400", 1);
  EXPECT_EQ(completed({}).broker, "tcp://10.0.0.7:7400");
}

TEST_F(ClientSettingsTest, WithoutAnyNothingChanges) {
  EXPECT_EQ(completed({}).broker, "");
}

TEST_F(ClientSettingsTest, AnUnknownKeyIsNamed) {
  write("[client]\nbroker_keys = 'a'\n");
  const auto address = with_client_settings({});
  ASSERT_FALSE(address);
  EXPECT_THAT(address.error().message, HasSubstr("did you mean 'broker_key'"));
}

TEST_F(ClientSettingsTest, ABrokerElsewhereWithoutKeysIsRefusedWithTheWayToThem) {
  const auto options = client_options({.data = {}, .broker = kFar, .redis = {}});
  ASSERT_FALSE(options);
  EXPECT_THAT(options.error().message, HasSubstr("ops/keys add"));
  EXPECT_THAT(options.error().message, HasSubstr("--broker-key and --key-file"));

  const auto pair = KeyPair::make();
  ASSERT_TRUE(write_secret_key(dir_.file("own.key"), pair->secret));
  const auto with_keys = client_options({.data = {},
                                         .broker = kFar,
                                         .redis = {},
                                         .broker_key = pair->open.text(),
                                         .key_file = dir_.file("own.key")});
  ASSERT_TRUE(with_keys) << with_keys.error().message;
  EXPECT_NE(with_keys->curve, nullptr);
}

}  // namespace
}  // namespace fanfare::cli
