// Events on their whole way through real processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store/keys.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Delivery, GivesEachOfAThousandEventsItsResult) {
  Installation installation;
  installation.deploy("builtin/noop");
  const auto ids = installation.publish_all("noop", std::vector<std::string>(1000));
  const auto redis = installation.redis().options();
  EXPECT_TRUE(eventually([&] { return all_ended(redis, "noop"); })) << installation.logs();

  auto counted = audit(redis, "noop", ids);
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.acknowledged, 1000u);
  EXPECT_EQ(counted.results, 1000u);
  EXPECT_EQ(counted.repeats, 0u);
  EXPECT_EQ(counted.counts["accepted"], 1000);
  EXPECT_EQ(counted.counts["succeeded"], 1000);
}

TEST(Audit, NoticesOneLostResultAndOneLostCount) {
  Installation installation;
  installation.deploy("builtin/noop");
  const auto ids = installation.publish_all("noop", std::vector<std::string>(20));
  const auto redis = installation.redis().options();
  ASSERT_TRUE(eventually([&] { return all_ended(redis, "noop"); })) << installation.logs();
  ASSERT_THAT(audit(redis, "noop", ids).violations, IsEmpty());

  const auto& lost = ids[7];
  installation.redis().command(
      {"HDEL", store::results_key("noop", lost.entry), std::to_string(lost.index)});
  EXPECT_THAT(audit(redis, "noop", ids).violations,
              Contains(HasSubstr(protocol::to_string(lost) + " has no result")));
  installation.redis().command({"HINCRBY", store::counts_key("noop"), "succeeded", "-1"});
  EXPECT_THAT(audit(redis, "noop", ids).violations, Contains(HasSubstr("accounted for")));
}

}  // namespace
}  // namespace fanfare::test
