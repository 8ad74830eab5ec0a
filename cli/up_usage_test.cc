// fanfare usage on a whole installation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/exit_code.h"
#include "cli/up_fixture.h"

namespace fanfare::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class UpUsageTest : public UpTest {};

TEST_F(UpUsageTest, CountsEveryAttemptOfEachTenantAndKeepsARemovedFunctions) {
  Up up(data_, {"--no-examples", "--functions", test_function(dir_, "flaky")});
  const auto publish = [&](const std::string& data, const std::string& tenant) {
    std::vector<std::string> words{"publish", "--type", "flaky", "--data", data, "--wait"};
    if (!tenant.empty()) words.insert(words.end(), {"--tenant", tenant});
    EXPECT_EQ(up.run(words).exit_code, kDone);
  };
  publish("2", "acme");  // fails once
  publish("1", "acme");
  publish("3", "umbrella");  // fails twice
  publish("1", "");
  up.run({"invoke", "flaky", "--data", "1"});

  nlohmann::json usage;
  const auto told = up.wait([&] {
    usage = nlohmann::json::parse(up.run({"--json", "usage"}).output, nullptr, false);
    return usage.is_object() && usage["total"]["invocations"] == 8;
  });
  ASSERT_TRUE(told) << usage;
  EXPECT_EQ(usage["total"]["failed"], 3);
  ASSERT_EQ(usage["rows"].size(), 3u);
  EXPECT_EQ(usage["rows"][0]["tenant"], "");
  EXPECT_EQ(usage["rows"][0]["invocations"], 2) << "the synchronous one, too";
  EXPECT_EQ(usage["rows"][1]["tenant"], "acme");
  EXPECT_EQ(usage["rows"][1]["invocations"], 3);
  EXPECT_EQ(usage["rows"][1]["failed"], 1);
  EXPECT_EQ(usage["rows"][2]["invocations"], 3);
  const double billed_ms = usage["total"]["billed_ms"];
  EXPECT_GE(billed_ms, 8);
  EXPECT_NEAR(usage["total"]["gb_seconds"].get<double>(), billed_ms / 1000 * 256 / 1024, 1e-9);

  const auto csv = up.run({"usage", "--csv", "--tenant", "umbrella", "--since", "1h"}).output;
  EXPECT_THAT(csv, StartsWith("hour,function,tenant,invocations,failed,"));
  EXPECT_THAT(csv, HasSubstr(",flaky,umbrella,3,2,"));
  EXPECT_EQ(up.run({"functions", "remove", "flaky"}).exit_code, kDone);
  EXPECT_THAT(up.run({"usage", "--function", "flaky"}).output, HasSubstr("umbrella"));
}

}  // namespace
}  // namespace fanfare::cli
