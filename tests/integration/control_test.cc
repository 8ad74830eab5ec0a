// Operators' verbs on a whole installation: functions held up, emptied; deliveries and attempts
// ended; workers made quiet.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

namespace fs = std::filesystem;
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
  EXPECT_TRUE(eventually([&] {
    return fanfare({"--json", "status"}).output.find("\"state\":\"accepting\"") !=
           std::string::npos;
  }));
  installation.deploy("builtin/noop", "keep_alive = \"5s\"\n");
  EXPECT_EQ(fanfare.ask({"functions", "list"})[0]["state"], "paused");
  EXPECT_EQ(fanfare.ask({"functions", "describe", "noop"})["state"], "paused");
  EXPECT_TRUE(eventually([&] { return fanfare.status_of("noop")["ready"] == 1; }));
  EXPECT_EQ(fanfare.status_of("noop")["state"], "paused");
  EXPECT_EQ(fanfare.status_of("noop")["running"], 0);

  const auto resumed = fanfare({"functions", "resume", "noop"});
  EXPECT_EQ(resumed.exit_code, cli::kDone) << resumed.output;
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
  EXPECT_EQ(fanfare({"functions", "pause", "\xff"}).exit_code, cli::kRefused) << "no UTF-8";
  const auto unknown = fanfare({"functions", "pause", "nop"});
  EXPECT_EQ(unknown.exit_code, cli::kRefused);
  EXPECT_THAT(unknown.output, HasSubstr("no function is named 'nop'"));
}

// Whether a process of that command line lives.
bool somebody_runs(const std::string& command_line) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::string line;
    std::getline(file, line);  // which takes it for empty if the process ends meanwhile
    std::ranges::replace(line, '\0', ' ');
    if (line == command_line + " ") return true;
  }
  return false;
}

TEST(Control, CancelKillsWhatRunsWithItsChildrenAndSaysWhatHadEndedBefore) {
  Installation installation;
  const Command fanfare(installation);
  installation.deploy("functions-testing/brood");
  const std::string seconds = fmt::format("{}", 10'000'000 + ::getpid());
  const auto id = installation.publish("brood", seconds);
  ASSERT_TRUE(eventually([&] { return somebody_runs("sleep " + seconds); })) << installation.logs();
  const json running = fanfare.ask({"deliveries", "list", "brood", "--state", "running"});
  ASSERT_EQ(running.size(), 1u);
  EXPECT_EQ(running[0]["id"], to_string(id));
  EXPECT_EQ(running[0]["state"], "running");
  EXPECT_EQ(running[0]["type"], "brood");
  EXPECT_TRUE(running[0]["worker"].is_string());

  const auto cancelled = fanfare({"--json", "cancel", to_string(id)});
  EXPECT_EQ(cancelled.exit_code, cli::kDone) << cancelled.output;
  EXPECT_EQ(json::parse(cancelled.output)["deliveries"],
            (json{{{"function", "brood"}, {"result", "running_killed"}}}));
  const auto record = installation.result("brood", id);
  EXPECT_EQ(record.status, protocol::Status::kCancelled);
  EXPECT_EQ(record.reason, protocol::DeadReason::kCancelled);
  const auto ledger = protocol::unpack_ledger(record.ledger).value();
  ASSERT_EQ(ledger.size(), 1u);
  EXPECT_EQ(ledger[0].outcome, protocol::Outcome::kCancelled);
  EXPECT_TRUE(eventually([&] { return !somebody_runs("sleep " + seconds); }))
      << "its child outlived it";

  const auto again = fanfare({"--json", "cancel", to_string(id), "brood"});
  EXPECT_EQ(again.exit_code, cli::kRefused);
  EXPECT_THAT(again.output, HasSubstr("already_cancelled"));
  EXPECT_TRUE(eventually([&] { return fanfare.ask({"workers", "list"})[0]["held"] == 0; }));
  EXPECT_EQ(fanfare.status_of("brood")["cancelled"], 1);
  EXPECT_EQ(fanfare.status_of("brood")["dead"], 0);
}

TEST(Control, AResultThatComesAfterItsCancellationIsRefused) {
  Installation installation;
  const Command fanfare(installation);
  installation.deploy("functions-testing/sleepy");
  const auto id = installation.publish("sleepy", "1500");
  ASSERT_TRUE(eventually([&] { return fanfare.status_of("sleepy")["running"] == 1; }));
  // The worker stands still: nobody kills the attempt, and it finishes.
  ::kill(installation.worker().pid(), SIGSTOP);
  const json answer = fanfare.ask({"cancel", to_string(id)});
  EXPECT_EQ(answer["deliveries"][0]["result"], "running_killed");
  std::this_thread::sleep_for(
      1600ms);  // of the function's own time; nobody could say when it is over
  ::kill(installation.worker().pid(), SIGCONT);
  const auto next = installation.publish("sleepy", "0");
  EXPECT_EQ(installation.result("sleepy", next).status, protocol::Status::kSucceeded);
  EXPECT_EQ(installation.result("sleepy", id).status, protocol::Status::kCancelled);
  EXPECT_EQ(fanfare.status_of("sleepy")["succeeded"], 1);
}

TEST(Control, PurgeEmptiesAQueueAndLeavesWhatComesLater) {
  Installation installation;
  const Command fanfare(installation);
  installation.deploy("builtin/noop");
  fanfare({"functions", "pause", "noop"});
  for (int i = 0; i < 40; ++i) installation.publish("noop", "x");
  fanfare({"publish", "--type", "noop", "--delay", "1h"});
  ASSERT_TRUE(eventually([&] { return fanfare.status_of("noop")["later"] == 1; }));
  const json delayed = fanfare.ask({"deliveries", "list", "noop", "--state", "delayed"});
  ASSERT_EQ(delayed.size(), 1u);
  EXPECT_TRUE(delayed[0]["due"].is_string());
  EXPECT_EQ(fanfare.ask({"deliveries", "list", "noop", "--state", "ready"}).size(), 40u);
  EXPECT_EQ(fanfare.ask({"deliveries", "list", "noop", "--limit", "7"}).size(), 7u);
  fanfare({"publish", "--type", "noop", "--subject", "found"});
  const json found =
      fanfare.ask({"deliveries", "list", "noop", "--where", R"({"subject":["found"]})"});
  EXPECT_EQ(found.size(), 1u);

  const auto unasked = fanfare({"functions", "purge", "noop"});
  EXPECT_EQ(unasked.exit_code, cli::kUsage);
  EXPECT_THAT(unasked.output, HasSubstr("--yes"));
  EXPECT_EQ(fanfare.ask({"functions", "purge", "noop", "--yes"}),
            (json{{"name", "noop"}, {"cancelled", 42}}));
  EXPECT_EQ(fanfare.status_of("noop")["ready"], 0);
  EXPECT_EQ(fanfare.status_of("noop")["later"], 0);
  EXPECT_EQ(fanfare.status_of("noop")["cancelled"], 42);
  EXPECT_EQ(fanfare.ask({"deliveries", "list", "noop"}).size(), 0u);
  fanfare({"functions", "resume", "noop"});
  const auto id = installation.publish("noop", "x");
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
}

TEST(Control, ADrainedWorkerTakesNothingOverARestartOfTheBrokerUntilItIsResumed) {
  Installation installation;
  const Command fanfare(installation);
  installation.deploy("builtin/noop");
  const std::string worker = fanfare.ask({"workers", "list"})[0]["id"];
  const auto drained = fanfare({"workers", "drain", worker});
  EXPECT_EQ(drained.exit_code, cli::kDone) << drained.output;
  const auto state_is = [&](const std::string& state) {
    return eventually([&] {
      const auto listed = fanfare({"--json", "workers", "list"});
      if (listed.exit_code != cli::kDone) return false;  // the broker is starting
      const json workers = json::parse(listed.output);
      return workers.size() == 1 && workers[0]["state"] == state;
    });
  };
  EXPECT_TRUE(state_is("quiet"));
  const auto id = installation.publish("noop", "x");
  installation.broker().kill_hard();
  installation.start_broker();
  EXPECT_TRUE(state_is("quiet")) << "it has said so itself";
  EXPECT_EQ(fanfare.status_of("noop")["ready"], 1);
  fanfare({"workers", "resume", worker});
  EXPECT_EQ(installation.result("noop", id).status, protocol::Status::kSucceeded);
  EXPECT_TRUE(state_is("running"));
  const auto unknown = fanfare({"workers", "drain", "nobody"});
  EXPECT_EQ(unknown.exit_code, cli::kRefused);
  EXPECT_THAT(unknown.output, HasSubstr("workers list"));
}

TEST(Control, AnExpiredEventIsADeadLetterAndCounted) {
  Installation installation;
  const Command fanfare(installation);
  installation.deploy("builtin/noop");
  const auto published = fanfare({"--json", "publish", "--type", "noop", "--expires-at",
                                  "2020-01-01T00:00:00Z", "--wait=10s"});
  EXPECT_EQ(published.exit_code, cli::kFailed) << published.output;
  EXPECT_THAT(published.output, HasSubstr(R"("status":"expired")"));
  EXPECT_EQ(fanfare.status_of("noop")["expired"], 1);
}

TEST(Control, ShowsEverySettingAndWhereItCameFrom) {
  Installation installation;
  const Command fanfare(installation);
  const std::string file = installation.file("config.toml");
  std::ofstream{file} << "[broker]\nlease = \"45s\"\nredis = \"redis://me:hunter2@somewhere\"\n"
                         "[worker]\nslots = 3\n";
  ::setenv("FANFARE_WORKER_GRACE", "7s", 1);
  const json shown = fanfare.ask({"config", "show", "--origin", "--config", file});
  ::unsetenv("FANFARE_WORKER_GRACE");
  const auto setting = [&](const std::string& section, const std::string& key) {
    for (const auto& one : shown["settings"]) {
      if (one["section"] == section && one["key"] == key) return one;
    }
    return json{};
  };
  EXPECT_EQ(setting("broker", "lease")["value"], "45s");
  EXPECT_EQ(setting("broker", "lease")["origin"], "file");
  EXPECT_EQ(setting("broker", "lease")["location"], file + ":2");
  EXPECT_EQ(setting("broker", "redis")["value"], "redis://me:***@somewhere");
  EXPECT_EQ(setting("broker", "heartbeat")["origin"], "default");
  EXPECT_EQ(setting("worker", "slots")["value"], "3");
  EXPECT_EQ(setting("worker", "grace")["value"], "7s");
  EXPECT_EQ(setting("worker", "grace")["origin"], "environment");
  const auto missing = fanfare({"config", "show", "--config", "/tmp/fanfare-no-such-file"});
  EXPECT_EQ(missing.exit_code, cli::kUsage);
}

}  // namespace
}  // namespace fanfare::test
