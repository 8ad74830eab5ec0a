// Deployments on real workers: tried everywhere first, without a pause for those that run, and
// taken back.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
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

std::string text_of_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Deploy : public ::testing::Test {
 protected:
  explicit Deploy(InstallationOptions options = {}) : installation_(std::move(options)) {}

  // A folder with `choosy`, whose manifest says its version and what more it is told.
  std::string folder(const std::string& version, const std::string& env = {}) {
    const fs::path path = installation_.file("choosy-" + version);
    fs::create_directories(path);
    fs::copy_file(FANFARE_BINARY_DIR "/functions-testing/choosy/choosy.so", path / "choosy.so",
                  fs::copy_options::overwrite_existing);
    std::ofstream(path / "function.toml")
        << "name = \"choosy\"\n[[on]]\npattern = '{\"type\": [\"choosy\"]}'\n[env]\nVERSION = \""
        << version << "\"\n"
        << env;
    return path;
  }
  cli::ChildOutput run(std::vector<std::string> words) {
    std::vector<std::string> all{FANFARE_BIN_DIR "/fanfare", "--broker", installation_.endpoint(),
                                 "--redis", "unix://" + installation_.redis().socket_path()};
    all.insert(all.end(), words.begin(), words.end());
    return cli::run_and_capture(all, 60s).value();
  }
  json ask(std::vector<std::string> words) {
    words.insert(words.begin(), "--json");
    const auto ended = run(std::move(words));
    const json answer = json::parse(ended.output, nullptr, false);
    EXPECT_FALSE(answer.is_discarded()) << ended.output;
    return answer;
  }
  json deploy(const std::string& version, const std::string& env = {}) {
    return ask({"functions", "deploy", folder(version, env)});
  }
  std::string answer_of(const std::string& data = "x") {
    return installation_.result("choosy", installation_.publish("choosy", data)).output;
  }

  Installation installation_;
};

TEST_F(Deploy, ReachesEveryWorkerBeforeItCounts) {
  const auto other = installation_.start_another_worker("other");
  const json deployed = deploy("1");
  EXPECT_EQ(deployed["workers"], json({"tested", "other"}));
  const std::string digest = deployed["digest"];
  for (const char* worker : {"tested", "other"}) {
    EXPECT_TRUE(fs::exists(installation_.file("cache-" + std::string(worker)) + "/" + digest +
                           "/choosy.so"))
        << worker << " has fetched it by itself";
  }
  EXPECT_EQ(answer_of(), "1");
}

TEST_F(Deploy, ThatOneWorkerCannotStartSaysWhyAndLeavesTheOldOneAtWork) {
  const auto mars = installation_.start_another_worker("mars", {{"TZ", "Mars"}});
  deploy("1");
  const auto refused = run({"functions", "deploy", folder("2", "REFUSES = \"Mars\"\n")});
  EXPECT_EQ(refused.exit_code, cli::kRefused);
  EXPECT_THAT(refused.output, HasSubstr("worker mars"));
  EXPECT_THAT(refused.output, HasSubstr("does not run in Mars"));
  EXPECT_THAT(refused.output, HasSubstr("starting in Mars")) << "what its init printed";
  EXPECT_THAT(refused.output, HasSubstr("generation 1 goes on"));
  EXPECT_EQ(answer_of(), "1");
  EXPECT_EQ(ask({"functions", "history", "choosy"}).size(), 1u);

  const json pending =
      ask({"functions", "deploy", "--no-wait", folder("2", "REFUSES = \"Mars\"\n")});
  EXPECT_EQ(pending["state"], "preparing");
  EXPECT_TRUE(eventually([&] {
    return ask({"functions", "describe", "choosy"})["deployment"]["state"] == "refused";
  }));

  mars->kill_hard();
  EXPECT_TRUE(eventually([&] { return ask({"status"})["workers"].size() == 1; }));
  EXPECT_EQ(deploy("2", "REFUSES = \"Mars\"\n")["changed"], true);
  EXPECT_EQ(answer_of(), "2");
  const auto late = installation_.start_another_worker("mars", {{"TZ", "Mars"}});
  EXPECT_EQ(answer_of(), "2");
}

TEST_F(Deploy, DamagedPackagesAreNeverRun) {
  const std::string digest = deploy("1")["digest"];
  auto redis = RedisSync::connect(installation_.redis().options()).value();
  ASSERT_TRUE(redis.call({"HSET", "fanfare:packages", digest, "damaged"}));
  const auto said = installation_.client().admin(
      "deploy",
      json{{"name", "another"}, {"manifest", "handler = \"choosy.so\"\n"}, {"digest", digest}}
          .dump());
  EXPECT_TRUE(said) << "its worker has it, whole";
  fs::remove_all(installation_.file("cache-tested"));
  fs::create_directories(installation_.file("cache-tested"));
  const auto refused = installation_.client().admin(
      "deploy", json{{"name", "another"},
                     {"manifest", "handler = \"choosy.so\"\ntimeout = \"5s\"\n"},
                     {"digest", digest}}
                    .dump());
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("is damaged; deploy"));
  EXPECT_EQ(deploy("1")["generation"], 1) << "a deployment mends it";

  // And on the disk of a worker, as a full disk or a lost power supply leaves it.
  const fs::path file = fs::path(installation_.file("cache-tested")) / digest / "choosy.so";
  installation_.worker().kill_hard();
  installation_.start_worker();
  EXPECT_EQ(answer_of(), "1");
  ASSERT_TRUE(fs::exists(file));
  const auto size = fs::file_size(file);
  installation_.worker().kill_hard();
  fs::resize_file(file, size / 2);
  installation_.start_worker();
  EXPECT_EQ(answer_of(), "1");
  EXPECT_EQ(fs::file_size(file), size);
  EXPECT_THAT(text_of_file(installation_.file("worker.log")),
              HasSubstr("is not what was deployed"));
}

TEST_F(Deploy, IsRolledBackAndForth) {
  deploy("1");
  deploy("2");
  EXPECT_EQ(answer_of(), "2");
  json back = ask({"functions", "rollback", "choosy"});
  EXPECT_EQ(back["generation"], 3);
  EXPECT_EQ(answer_of(), "1");
  ask({"functions", "rollback", "choosy"});
  EXPECT_EQ(answer_of(), "2");
  ask({"functions", "rollback", "choosy", "--to", "1"});
  EXPECT_EQ(answer_of(), "1");
  const json history = ask({"functions", "history", "choosy"});
  ASSERT_EQ(history.size(), 5u);
  EXPECT_EQ(history[0]["rolled_back_to"], 1);
  EXPECT_EQ(history[0]["present"], true);

  auto redis = RedisSync::connect(installation_.redis().options()).value();
  ASSERT_TRUE(redis.call({"HDEL", "fanfare:packages", history[1]["digest"].get<std::string>()}));
  const auto refused = run({"functions", "rollback", "choosy"});
  EXPECT_EQ(refused.exit_code, cli::kRefused);
  EXPECT_THAT(refused.output, HasSubstr("not in Redis any more"));
  EXPECT_EQ(run({"functions", "rollback", "choosy", "--to", "77"}).exit_code, cli::kRefused);
  EXPECT_EQ(answer_of(), "1");
}

class Redeploy : public Deploy {
 protected:
  Redeploy() : Deploy({.worker = {{"FANFARE_WORKER_SLOTS", "16"}}, .redis = {}}) {}

  struct Seen {
    std::size_t events = 0, not_ok = 0, generations = 0;
    std::size_t out_of_order = 0;   // began on an older generation than one that began before
    std::size_t other_version = 0;  // its output is not that of the generation that it tells
    Duration longest_pause{};       // without an attempt that began
  };

  static constexpr int kVersions = 4;  // besides the first
  static constexpr Duration kInit = 1500ms;

  // A load of 20 ms events, deployed anew meanwhile with an init that takes its time; `with` is
  // done beside each.
  template <typename With>
  Seen deploy_under_load(With with) {
    const std::string nap = "NAP_MS = \"20\"\nINIT_MS = \"" + std::to_string(kInit / 1ms) + "\"\n";
    deploy("0", nap);
    std::vector<protocol::EventId> ids;
    std::atomic<bool> over{false};
    std::thread load([&] {
      while (!over) {
        for (const auto& id : installation_.publish_all("choosy", {"a", "b", "c", "d"})) {
          ids.push_back(id);
        }
        std::this_thread::sleep_for(10ms);
      }
    });
    for (int version = 1; version <= kVersions; ++version) {
      std::this_thread::sleep_for(200ms);
      deploy(std::to_string(version), nap);
      with();
    }
    std::this_thread::sleep_for(200ms);
    over = true;
    load.join();
    return look_at(ids);
  }

  Seen look_at(const std::vector<protocol::EventId>& ids) {
    Seen seen;
    std::vector<protocol::AttemptRow> begun;
    std::map<std::uint64_t, std::string> versions;
    for (const auto& id : ids) {
      const auto record = installation_.result("choosy", id);
      const auto rows = protocol::unpack_ledger(record.ledger).value();
      ++seen.events;
      for (const auto& row : rows) seen.not_ok += row.outcome != protocol::Outcome::kOk ? 1u : 0u;
      begun.push_back(rows.back());
      const auto& version = versions.emplace(rows.back().generation, record.output).first->second;
      seen.other_version += version != record.output ? 1u : 0u;
    }
    std::ranges::sort(begun, {}, &protocol::AttemptRow::started_ms);
    constexpr std::int64_t kRoundingMs = 2;
    std::uint64_t newest = 0;
    std::int64_t newest_since = 0, before = begun.front().started_ms;
    for (const auto& row : begun) {
      if (row.generation < newest && row.started_ms > newest_since + kRoundingMs)
        ++seen.out_of_order;
      if (row.generation > newest) newest = row.generation, newest_since = row.started_ms;
      seen.longest_pause = std::max<Duration>(seen.longest_pause,
                                              std::chrono::milliseconds{row.started_ms - before});
      before = row.started_ms;
    }
    seen.generations = versions.size();
    return seen;
  }
};

TEST_F(Redeploy, UnderLoadFailsNothingAndNeverGoesBack) {
  const Seen seen = deploy_under_load([] {});
  fmt::print("{} events over {} generations, the longest pause {} ms\n", seen.events,
             seen.generations, seen.longest_pause / 1ms);
  EXPECT_GT(seen.events, 200u);
  EXPECT_EQ(seen.generations, kVersions + 1u);
  EXPECT_EQ(seen.not_ok, 0u);
  EXPECT_EQ(seen.out_of_order, 0u);
  EXPECT_EQ(seen.other_version, 0u);
  EXPECT_LT(seen.longest_pause, kInit) << "the new one was started beside the old one";
}

// The control: what a deployment that ends what runs would do.
TEST_F(Redeploy, ThatKilledWhatRunsWouldShow) {
  const Seen seen = deploy_under_load([this] {
    for (const pid_t pid : installation_.children_of_worker()) ::kill(pid, SIGKILL);
  });
  EXPECT_GT(seen.not_ok, 0u);
}

}  // namespace
}  // namespace fanfare::test
