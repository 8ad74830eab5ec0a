// What a whole installation tells of deliveries that have not ended.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/exit_code.h"
#include "cli/up_fixture.h"

namespace fanfare::cli {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

class UpProgressTest : public UpTest {};

TEST_F(UpProgressTest, ARunningDeliveryTellsHowFarItIsAndADelayedOneWhenItRuns) {
  Up up(data_, {"--no-examples", "--functions", test_function(dir_, "sleepy")});
  const auto publish = [&](const std::string& data, const std::string& delay) {
    const auto said =
        up.run({"--json", "publish", "--type", "sleepy", "--data", data, "--delay", delay});
    return Json::parse(said.output)["id"].get<std::string>();
  };
  const std::string delayed = publish("1", "1h");
  const std::string slow = publish("5000", "0s");

  Json row;
  const bool seen = up.wait([&] {
    const auto asked = up.run({"--json", "result", slow, "sleepy"});
    row = Json::parse(asked.output.substr(0, asked.output.find('\n')), nullptr, false);
    return row.is_object() && row.value("progress", Json{}).is_number();
  });
  ASSERT_TRUE(seen) << row;
  EXPECT_EQ(row["status"], "running");
  EXPECT_EQ(row["worker"], "local-1");
  EXPECT_EQ(row["note"], "asleep");
  EXPECT_GT(row["progress"], 0);
  EXPECT_LT(row["progress"], 1);

  const auto later = up.run({"result", delayed});
  EXPECT_EQ(later.exit_code, kRefused);
  EXPECT_THAT(later.output, HasSubstr("sleepy: delayed, runs at "));
  const auto running = up.run({"result", slow});
  EXPECT_EQ(running.exit_code, kRefused);
  EXPECT_THAT(running.output, HasSubstr("sleepy: running on local-1 for "));
  EXPECT_THAT(running.output, HasSubstr(" %, \"asleep\""));

  EXPECT_THAT(up.run({"status"}).output, HasSubstr("sleepy " + slow + " on local-1 for "));

  EXPECT_EQ(up.run({"result", slow, "--wait"}).exit_code, kDone);
  EXPECT_EQ(up.stop(), kDone);
}

}  // namespace
}  // namespace fanfare::cli
