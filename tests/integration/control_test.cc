// Operators' verbs on a whole installation: functions held up, emptied; deliveries and attempts
// ended; workers made quiet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;

// The `fanfare` command, told where this installation is.
class Command {
 public:
  explicit Command(Installation& installation) : installation_(installation) {}

  cli::ChildOutput operator()(std::vector<std::string> words) const {
    std::vector<std::string> all{FANFARE_BIN_DIR "/fanfare", "--broker", installation_.endpoint(),
                                 "--redis", "unix://" + installation_.redis().socket_path()};
    all.insert(all.end(), words.begin(), words.end());
    return cli::run_and_capture(all, 30s).value();
  }
  json ask(std::vector<std::string> words) const {
    words.insert(words.begin(), "--json");
    const auto ended = (*this)(std::move(words));
    const json answer = json::parse(ended.output, nullptr, false);
    EXPECT_FALSE(answer.is_discarded()) << ended.output;
    return answer;
  }
  json status_of(const std::string& function) const {
    const json status = ask({"status"});
    for (const auto& one : status["functions"]) {
      if (one["name"] == function) return one;
    }
    return {};
  }

 private:
  Installation& installation_;
};

TEST(Control, APausedFunctionQueuesOverARestartOfTheBrokerUntilItIsResumed) {
  Installation installation;
  const Command fanfare(installation);
  installation.deploy("builtin/noop");
  EXPECT_EQ(fanfare.ask({"functions", "pause", "noop"})["state"], "paused");
  const auto id = installation.publish("noop", "x");
  installation.broker().kill_hard();
  installation.start_broker();
  installation.deploy("builtin/noop", "keep_alive = \"5s\"\n");
  EXPECT_EQ(fanfare.ask({"functions", "list"})[0]["state"], "paused");
  EXPECT_EQ(fanfare.ask({"functions", "describe", "noop"})["state"], "paused");
  EXPECT_TRUE(eventually([&] { return fanfare.status_of("noop")["ready"] == 1; }));
  EXPECT_EQ(fanfare.status_of("noop")["state"], "paused");
  EXPECT_EQ(fanfare.status_of("noop")["running"], 0);

  const auto resumed = fanfare({"functions", "resume", "noop"});
  EXPECT_EQ(resumed.exit_code, cli::kDone) << resumed.output;
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
  const auto unknown = fanfare({"functions", "pause", "nop"});
  EXPECT_EQ(unknown.exit_code, cli::kRefused);
  EXPECT_THAT(unknown.output, HasSubstr("no function is named 'nop'"));
}

}  // namespace
}  // namespace fanfare::test
