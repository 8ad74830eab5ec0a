#include "cli/installation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "cli/exit_code.h"
#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

using ::testing::HasSubstr;

TEST(ConnectBroker, SaysThatItMayNotEnterTheDataDirectory) {
  const test::TempDir dir;
  const bool root = geteuid() == 0;  // whom no permission stops
  ASSERT_EQ(chmod(dir.path().c_str(), root ? 0700 : 0), 0);
  if (root) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  const auto broker = connect_broker({.data = dir.file("data"), .broker = {}, .redis = {}});
  const auto redis = connect_redis({.data = dir.file("data"), .broker = {}, .redis = {}});
  if (root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  ASSERT_EQ(chmod(dir.path().c_str(), 0700), 0);
  ASSERT_FALSE(broker);
  EXPECT_THAT(broker.error().message, HasSubstr("Permission denied"));
  EXPECT_EQ(exit_code_of(broker.error()), kUnreachable);
  ASSERT_FALSE(redis);
  EXPECT_THAT(redis.error().message, HasSubstr("Permission denied"));
  EXPECT_EQ(exit_code_of(redis.error()), kUnreachable);
}

// Each test in a folder of its own, as ./fanfare-data counts.
class FindInstallation : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("FANFARE_DATA");
    std::filesystem::current_path(dir_.path());
    system_.run = dir_.file("run-fanfare");
    system_.data = "/var/lib/fanfare";
  }
  void TearDown() override { std::filesystem::current_path("/"); }

  test::TempDir dir_;
  SystemPlaces system_;
};

TEST_F(FindInstallation, TakesTheServicesOfThisMachineWhenNothingElseIsNamedOrThere) {
  std::filesystem::create_directory(system_.run);
  const auto services = find_installation({}, system_);
  ASSERT_TRUE(services);
  EXPECT_TRUE(services->is_system);
  EXPECT_EQ(services->broker_endpoint(), "ipc://" + system_.run + "/broker.ipc");
  EXPECT_EQ(services->redis_socket(), system_.run + "/redis.sock");
  EXPECT_EQ(services->config_file(), "/etc/fanfare/fanfare.toml");
  EXPECT_EQ(services->dir, "/var/lib/fanfare");

  EXPECT_EQ(find_installation({.data = "here"}, system_)->dir, dir_.file("here"));
  setenv("FANFARE_DATA", "/elsewhere", 1);
  EXPECT_EQ(find_installation({}, system_)->dir, "/elsewhere");
  unsetenv("FANFARE_DATA");

  // What `up` has made here is nearer than the services.
  std::filesystem::create_directory(kDefaultDataDir);
  const auto own = find_installation({}, system_);
  EXPECT_FALSE(own->is_system);
  EXPECT_EQ(own->dir, dir_.file("fanfare-data"));
}

TEST_F(FindInstallation, NamesTheFolderHereWhereThereAreNoServices) {
  const auto own = find_installation({}, system_);
  ASSERT_TRUE(own);
  EXPECT_FALSE(own->is_system);
  EXPECT_EQ(own->dir, dir_.file("fanfare-data"));
}

TEST_F(FindInstallation, NeverGivesTheServicesFoldersToUp) {
  std::filesystem::create_directory(system_.run);
  EXPECT_EQ(find_own_installation({})->dir, dir_.file("fanfare-data"));
}

}  // namespace
}  // namespace fanfare::cli
