// Class memory promises less of what waits for its first attempt, and no less of all that follows:
// retries, results and dead letters lie in Redis.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "store/keys.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

class InMemory : public ::testing::Test {
 protected:
  InMemory() {
    installation_.deploy("functions-testing/flaky", "[retry]\nbase = \"10ms\"\ncap = \"50ms\"\n");
  }
  std::vector<protocol::EventId> publish(std::size_t count) {
    const std::vector<std::string> kinds{"1", "2", "never"};
    std::vector<std::string> data;
    for (std::size_t i = 0; i < count; ++i) data.push_back(kinds[i % kinds.size()]);
    return installation_.publish_all("flaky", data);
  }
  RedisOptions redis() { return installation_.redis().options(); }
  std::size_t later() {
    return std::stoul(installation_.redis().command({"ZCARD", store::later_key("flaky")}));
  }

  Installation installation_{{.durability = "memory", .redis = {}}};
};

TEST_F(InMemory, AllEndAndTheHopelessAreDeadLettersThoughTheWorkerIsKilled) {
  const auto ids = publish(900);
  ASSERT_TRUE(eventually([&] { return audit(redis(), "flaky", ids).results > 50; }));
  installation_.worker().kill_hard();
  installation_.start_worker();
  ASSERT_TRUE(eventually([&] { return audit(redis(), "flaky", ids).results == ids.size(); }, 40s))
      << installation_.logs();
  const Audit counted = audit(redis(), "flaky", ids);
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.letters, 300u);
  EXPECT_GE(counted.repeats, 300u);
}

TEST_F(InMemory, WhatWaitsForItsRetryOutlivesTheBroker) {
  const auto id = installation_.publish("flaky", "2");
  ASSERT_TRUE(eventually([&] { return later() == 1; }));
  installation_.broker().kill_hard();
  ASSERT_EQ(later(), 1u) << "it was to be killed before the retry";
  installation_.start_broker();
  const auto record = installation_.result("flaky", id);
  EXPECT_EQ(record.output, "done in attempt 2");
  EXPECT_EQ(protocol::unpack_ledger(record.ledger)->size(), 2u);
}

}  // namespace
}  // namespace fanfare::test
