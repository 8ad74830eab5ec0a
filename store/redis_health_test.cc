#include "store/redis_health.h"

#include <gtest/gtest.h>

namespace fanfare::store {
namespace {

TEST(RedisHealth, IsReadOutOfWhatRedisSays) {
  const auto health = parse_redis_health(
      "# Persistence\r\nloading:0\r\naof_enabled:1\r\naof_last_bgrewrite_status:err\r\n"
      "aof_last_write_status:err\r\naof_current_size:4096\r\naof_delayed_fsync:7\r\n"
      "# Memory\r\nused_memory:1048576\r\nused_memory_human:1.00M\r\nmaxmemory:2097152\r\n");
  EXPECT_TRUE(health.aof_on);
  EXPECT_FALSE(health.aof_write_ok);
  EXPECT_FALSE(health.aof_rewrite_ok);
  EXPECT_EQ(health.aof_bytes, 4096u);
  EXPECT_EQ(health.fsyncs_delayed, 7u);
  EXPECT_EQ(health.memory_bytes, 1'048'576u);
  EXPECT_EQ(health.memory_max_bytes, 2'097'152u);
}

TEST(RedisHealth, WhatIsNotToldIsTakenForGood) {
  for (const char* text : {"", "nonsense", "aof_last_write_status", ":\r\n:::\n\n"}) {
    const auto health = parse_redis_health(text);
    EXPECT_FALSE(health.aof_on);
    EXPECT_TRUE(health.aof_write_ok);
    EXPECT_EQ(health.memory_bytes, 0u);
  }
}

}  // namespace
}  // namespace fanfare::store
