// The autoscaler with real workers: commands of the test start and stop their processes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/child_output.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// What the commands of the driver mean: `wanted` says how many workers there should be, `there` how
// many there are and how many are leaving.
class Cloud {
 public:
  explicit Cloud(Installation& installation) : installation_(installation) { tell(); }

  std::string count_command() const { return "cat," + installation_.file("there"); }
  std::string scale_command() const {
    const std::string wanted = installation_.file("wanted");
    return "sh,-c,echo {workers} > " + wanted + ".new && mv " + wanted + ".new " + wanted;
  }

  // One look at what is wanted, and at who has gone.
  void turn() {
    std::size_t wanted = workers_.size();
    std::ifstream{installation_.file("wanted")} >> wanted;
    while (workers_.size() < wanted) {
      workers_.push_back(installation_.launch_worker(std::to_string(++started_)));
    }
    while (workers_.size() > wanted) {
      ::kill(workers_.back()->pid(), SIGTERM);
      leaving_.push_back(std::move(workers_.back()));
      workers_.pop_back();
    }
    std::erase_if(leaving_, [this](const auto& worker) {
      const auto ended = worker->wait_end(1ms);
      if (ended) exit_codes_.push_back(*ended);
      return ended.has_value();
    });
    most_ = std::max(most_, workers_.size());
    tell();
  }

  std::size_t workers() const { return workers_.size(); }
  std::size_t leaving() const { return leaving_.size(); }
  std::size_t most() const { return most_; }
  const std::vector<int>& exit_codes() const { return exit_codes_; }

 private:
  void tell() const {
    const std::string there = installation_.file("there");
    std::ofstream{there + ".new"} << workers_.size() << ' ' << leaving_.size() << '\n';
    std::rename((there + ".new").c_str(), there.c_str());
  }

  Installation& installation_;
  std::vector<std::unique_ptr<Process>> workers_, leaving_;
  std::vector<int> exit_codes_;
  std::size_t started_ = 0, most_ = 0;
};

Process::Environment settings(Installation& installation, const Cloud& cloud) {
  return {{"FANFARE_AUTOSCALER_BROKER", installation.endpoint()},
          {"FANFARE_AUTOSCALER_REDIS", "unix://" + installation.redis().socket_path()},
          {"FANFARE_AUTOSCALER_NAME", "tested"},
          {"FANFARE_AUTOSCALER_DRIVER", "exec"},
          {"FANFARE_AUTOSCALER_COUNT_COMMAND", cloud.count_command()},
          {"FANFARE_AUTOSCALER_SCALE_COMMAND", cloud.scale_command()},
          {"FANFARE_AUTOSCALER_MIN", "0"},
          {"FANFARE_AUTOSCALER_MAX", "3"},
          {"FANFARE_AUTOSCALER_TICK", "100ms"},
          {"FANFARE_AUTOSCALER_STABLE_WINDOW", "6s"},
          {"FANFARE_AUTOSCALER_SLOTS", "4"}};
}

json status_of(Installation& installation) {
  const auto said =
      cli::run_and_capture({FANFARE_BIN_DIR "/fanfare", "--json", "--redis",
                            "unix://" + installation.redis().socket_path(), "autoscale", "status"},
                           10s);
  if (!said || said->exit_code != 0) return {};
  return json::parse(said->output, nullptr, false);
}

std::string content_of(const std::string& file) {
  std::ifstream in{file};
  return {std::istreambuf_iterator<char>{in}, {}};
}

TEST(Autoscaler, StartsWorkersForABurstAndDrainsThemAfterIt) {
  Installation installation({.worker = {{"FANFARE_WORKER_SLOTS", "4"}}});
  installation.deploy("functions-testing/sleepy");
  ::kill(installation.worker().pid(), SIGTERM);
  ASSERT_TRUE(installation.worker().wait_end(10s)) << installation.logs();
  Cloud cloud(installation);
  Process autoscaler({FANFARE_BIN_DIR "/fanfare-autoscaler"}, settings(installation, cloud),
                     installation.file("autoscaler.log"));
  const auto log = [&] { return content_of(installation.file("autoscaler.log")); };

  // Nobody is there, and nobody is wanted.
  ASSERT_TRUE(eventually([&] { return !status_of(installation).empty(); })) << log();
  EXPECT_EQ(status_of(installation)[0]["desired"], 0);

  // 12 slots and more: as many workers as there may be, within a tick or two. It stands still until
  // all are there: its first tick could see the beginning of the burst alone.
  ASSERT_EQ(::kill(autoscaler.pid(), SIGSTOP), 0);
  std::vector<protocol::EventId> ids =
      installation.publish_all("sleepy", std::vector<std::string>(60, "200"));
  ASSERT_EQ(::kill(autoscaler.pid(), SIGCONT), 0);
  ASSERT_TRUE(eventually([&] {
    cloud.turn();
    return cloud.workers() == 3;
  })) << log();

  // All is done by them, and then they go, draining: no attempt is lost on the way.
  ASSERT_TRUE(eventually(
      [&] {
        cloud.turn();
        return cloud.workers() == 0 && cloud.leaving() == 0;
      },
      60s))
      << log();
  EXPECT_EQ(cloud.most(), 3u);
  EXPECT_THAT(cloud.exit_codes(), ::testing::Each(0));
  for (const auto& id : ids) {
    const auto record = installation.result("sleepy", id, 1s);
    EXPECT_EQ(record.status, protocol::Status::kSucceeded);
    const auto rows = protocol::unpack_ledger(record.ledger);
    ASSERT_TRUE(rows);
    EXPECT_EQ(rows->size(), 1u) << "one attempt, that was not lost";
  }

  const json status = status_of(installation);
  ASSERT_EQ(status.size(), 1u);
  EXPECT_EQ(status[0]["name"], "tested");
  EXPECT_EQ(status[0]["silent"], false);
  const json& changes = status[0]["changes"];
  ASSERT_GE(changes.size(), 2u);
  EXPECT_EQ(changes.back()["from"], 0);
  EXPECT_EQ(changes.back()["to"], 3);
  EXPECT_THAT(changes.back()["reason"].get<std::string>(), HasSubstr("3 are the most (panic)"));
  EXPECT_EQ(changes.front()["to"], 0);
  EXPECT_THAT(log(), HasSubstr("0 workers become 3: "));

  // Who waits for an answer is work, too, and nobody is there to give it.
  auto invoked = std::async(std::launch::async, [&] {
    return cli::run_and_capture(
        {FANFARE_BIN_DIR "/fanfare", "--broker", installation.endpoint(), "--redis",
         "unix://" + installation.redis().socket_path(), "invoke", "sleepy", "--data", "50"},
        30s);
  });
  EXPECT_TRUE(eventually(
      [&] {
        cloud.turn();
        return invoked.wait_for(1ms) == std::future_status::ready;
      },
      40s));
  const auto answer = invoked.get();
  ASSERT_TRUE(answer);
  EXPECT_THAT(answer->output, HasSubstr("slept 50 ms")) << log();

  // What is down cannot be asked, and nothing is decided.
  installation.broker().kill_hard();
  EXPECT_TRUE(eventually(
      [&] {
        return status_of(installation)[0]["trouble"].get<std::string>().find("broker") !=
               std::string::npos;
      },
      30s))
      << log();
  ::kill(autoscaler.pid(), SIGTERM);
  EXPECT_EQ(autoscaler.wait_end(10s), 0);
  EXPECT_TRUE(status_of(installation).empty()) << "one that has ended in order is not silent";
}

TEST(Autoscaler, ChangesNothingInADryRun) {
  Installation installation;
  installation.deploy("functions-testing/sleepy");
  Cloud cloud(installation);
  auto all = settings(installation, cloud);
  all.emplace_back("FANFARE_AUTOSCALER_DRY_RUN", "true");
  Process autoscaler({FANFARE_BIN_DIR "/fanfare-autoscaler"}, all,
                     installation.file("autoscaler.log"));
  installation.publish_all("sleepy", std::vector<std::string>(60, "100"));
  const auto log = [&] { return content_of(installation.file("autoscaler.log")); };
  EXPECT_TRUE(eventually([&] { return log().find("0 workers should be 3") != std::string::npos; }))
      << log();
  EXPECT_FALSE(std::ifstream{installation.file("wanted")}.good());
  EXPECT_THAT(log(), Not(HasSubstr("become")));
}

TEST(Autoscaler, SaysWhichSettingMakesNoSense) {
  const auto said = [](Process::Environment environment) {
    TempDir dir;
    Process process({FANFARE_BIN_DIR "/fanfare-autoscaler"}, std::move(environment),
                    dir.file("log"));
    EXPECT_EQ(process.wait_end(10s), 2);
    return content_of(dir.file("log"));
  };
  EXPECT_THAT(said({{"FANFARE_AUTOSCALER_MIN", "5"}, {"FANFARE_AUTOSCALER_MAX", "4"}}),
              HasSubstr("min is 5 and max 4"));
  EXPECT_THAT(said({{"FANFARE_AUTOSCALER_TICK", "7s"}}),
              HasSubstr("tick is 7s, and panic_window × stable_window 6s"));
  EXPECT_THAT(said({{"FANFARE_AUTOSCALER_DRIVER", "exec"}}), HasSubstr("needs count_command"));
  EXPECT_THAT(said({{"FANFARE_AUTOSCALER_UNIT", "worker.service"}}), HasSubstr("it is a template"));
  EXPECT_THAT(said({{"FANFARE_AUTOSCALER_UTILISATION", "most"}}),
              HasSubstr("utilisation is 'most', which is no number"));
}

}  // namespace
}  // namespace fanfare::test
