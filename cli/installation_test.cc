#include "cli/installation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

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

}  // namespace
}  // namespace fanfare::cli
