// A whole installation: real Redis, broker, worker and functions.
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/redis_sync.h"
#include "cli/exit_code.h"
#include "cli/up_fixture.h"
#include "store/keys.h"

namespace fanfare::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(UpTest, RunsAFunctionAndKeepsItsResultInRedis) {
  Up up(data_);
  ASSERT_THAT(up.log(), HasSubstr("fanfare: ready"));
  const auto published = up.run(
      {"--json", "publish", "--type", "text.submitted", "--data", "to be or not to be", "--wait"});
  ASSERT_EQ(published.exit_code, kDone) << published.output;
  const json receipt = json::parse(published.output);
  EXPECT_EQ(receipt["unmatched"], false);
  ASSERT_EQ(receipt["deliveries"].size(), 1u);
  EXPECT_EQ(receipt["deliveries"][0]["function"], "wordcount");
  EXPECT_EQ(receipt["results"][0]["output"]["words"], 6);

  const auto result = up.run({"--json", "result", receipt["id"], "wordcount"});
  ASSERT_EQ(result.exit_code, kDone) << result.output;
  EXPECT_EQ(json::parse(result.output)["status"], "succeeded");
  const auto all = up.run({"--json", "result", receipt["id"]});
  EXPECT_EQ(json::parse(all.output).size(), 1u);
  EXPECT_EQ(up.run({"result", "1-1.1"}).exit_code, kRefused);
}

TEST_F(UpTest, InvokesWithoutTheJournalAndSaysWhichFunctionIsMissing) {
  Up up(data_);
  const auto invoked = up.run({"invoke", "wordcount", "--data", "one two"});
  EXPECT_EQ(invoked.exit_code, kDone) << invoked.output;
  EXPECT_EQ(json::parse(invoked.output)["words"], 2);
  const auto missing = up.run({"invoke", "wordcont"});
  EXPECT_EQ(missing.exit_code, kRefused);
  EXPECT_THAT(missing.output, HasSubstr("wordcont"));
}

TEST_F(UpTest, AcceptsAndNamesEventsThatNobodyWants) {
  Up up(data_);
  const auto published = up.run({"--json", "publish", "--type", "nobody.listens"});
  EXPECT_EQ(published.exit_code, kDone);
  EXPECT_EQ(json::parse(published.output)["unmatched"], true);

  // Of what is published to topics the shipped functions get what they are subscribed to.
  const std::vector<std::string> publish{
      "--json",   "publish",        "--type", "notification.published",
      "--source", "/topics/orders", "--data", "{}"};
  EXPECT_EQ(json::parse(up.run(publish).output)["unmatched"], true);
  EXPECT_EQ(up.run({"topic", "add", "orders"}).exit_code, kDone);
  EXPECT_EQ(up.run({"topic", "subscribe", "orders", "notify"}).exit_code, kDone);
  EXPECT_EQ(json::parse(up.run(publish).output)["deliveries"][0]["function"], "notify");
  EXPECT_THAT(up.log(), Not(HasSubstr("note:"))) << "that no event reaches it is as it should be";
}

// A function that fails its first attempts, with a pattern of its own.
std::string flaky_functions(const test::TempDir& dir, const std::string& settings = {}) {
  const std::string folder = dir.file("functions/flaky");
  fs::create_directories(folder);
  fs::copy_file(FANFARE_BINARY_DIR "/functions-testing/flaky/flaky.so", folder + "/flaky.so");
  std::ofstream(folder + "/function.toml") << "[[on]]\npattern = '{\"type\": [\"flaky\"]}'\n"
                                           << settings;
  return dir.file("functions");
}

TEST_F(UpTest, SaysWhyADeliveryIsTriedAgainAndWhen) {
  // Until the last look, however slow the machine is.
  const auto functions = flaky_functions(dir_, "[retry]\nmax_attempts = 99\n");
  Up up(data_, {"--no-examples", "--functions", functions});
  const auto published = up.run({"publish", "--type", "flaky", "--data", "99", "--wait=1s"});
  EXPECT_EQ(published.exit_code, kFailed);
  EXPECT_THAT(published.output, HasSubstr("function_error (NotYet: attempt "));
  const std::string id = published.output.substr(0, published.output.find('\n'));
  const auto waited = up.run({"result", id, "--wait=50ms"});
  EXPECT_EQ(waited.exit_code, kFailed);
  EXPECT_THAT(waited.output, HasSubstr("has not ended within 50ms"));
  EXPECT_THAT(waited.output, HasSubstr("(NotYet: attempt "));
  const auto looked = up.run({"result", id});
  EXPECT_EQ(looked.exit_code, kRefused);
  EXPECT_THAT(looked.output, HasSubstr("(NotYet: attempt "));
  EXPECT_THAT(up.run({"status"}).output, HasSubstr("(NotYet: attempt "));
  EXPECT_EQ(up.run({"result", "1-1.1", "--wait=50ms"}).exit_code, kRefused);
}

TEST_F(UpTest, PointsToADeadLetterAndKnowsWhichFunctionsThereAre) {
  Up up(data_, {"--no-examples", "--functions", flaky_functions(dir_)});
  EXPECT_THAT(up.run({"dlq", "list", "flaky"}).output, HasSubstr("no dead letters of flaky"));
  const auto slip = up.run({"dlq", "list", "flakey"});
  EXPECT_EQ(slip.exit_code, kRefused);
  EXPECT_THAT(slip.output, HasSubstr("did you mean flaky?"));

  const auto published = up.run({"publish", "--type", "flaky", "--data", "never", "--wait"});
  const std::string id = published.output.substr(0, published.output.find('\n'));
  EXPECT_THAT(published.output, HasSubstr("see `fanfare dlq show flaky " + id + "`"));
  const auto shown = up.run({"dlq", "show", "flaky", id});
  EXPECT_EQ(shown.exit_code, kDone);
  EXPECT_THAT(shown.output, HasSubstr("Hopeless"));
  EXPECT_THAT(shown.output, Not(HasSubstr("see `fanfare")));
}

TEST_F(UpTest, LeavesFunctionsAsTheirUsersDeployedOrRemovedThem) {
  const std::string folder = dir_.file("mine/wordcount");
  fs::create_directories(dir_.file("mine"));
  fs::copy(FANFARE_BINARY_DIR "/functions/wordcount", folder);
  std::ofstream(folder + "/function.toml", std::ios::app) << "[env]\nMINE = \"yes\"\n";
  {
    Up up(data_);
    EXPECT_THAT(up.log(), HasSubstr("functions notify, store-form, thumbnail, wordcount"));
    EXPECT_EQ(up.run({"functions", "deploy", folder}).exit_code, kDone);
    EXPECT_EQ(up.run({"functions", "remove", "notify"}).exit_code, kDone);
    up.stop();
  }
  Up again(data_);
  EXPECT_THAT(again.log(), HasSubstr("functions store-form, thumbnail, wordcount"));
  EXPECT_THAT(again.run({"functions", "describe", "wordcount"}).output, HasSubstr("MINE"));
  EXPECT_EQ(again.run({"functions", "describe", "notify"}).exit_code, kRefused);
}

// The first start ended in the middle of deploying.
TEST_F(UpTest, DeploysTheRestOfTheShippedFunctionsWhenItsFirstStartWasCutShort) {
  {
    Up up(data_);
    EXPECT_EQ(up.run({"functions", "remove", "notify"}).exit_code, kDone);
    auto redis = RedisSync::connect(*parse_redis_url("unix://" + data_ + "/run/redis.sock"));
    ASSERT_TRUE(redis);
    ASSERT_TRUE(redis->call({"HDEL", store::kShippedKey, "*", "notify"}));
    up.stop();
  }
  Up again(data_);
  EXPECT_THAT(again.log(), HasSubstr("functions notify, store-form, thumbnail, wordcount"));
}

TEST_F(UpTest, RenewsAShippedFunctionThatIsStillItsOwn) {
  const std::string digest(64, '0');
  Up up(data_);
  const json before = json::parse(up.run({"--json", "functions", "describe", "wordcount"}).output);
  EXPECT_EQ(before["generation"], 4);
  // As if an older version of it had been deployed by an older `up`.
  auto redis = RedisSync::connect(*parse_redis_url("unix://" + data_ + "/run/redis.sock"));
  ASSERT_TRUE(redis);
  const auto registered = redis->call({"HGET", store::kFunctionsKey, "wordcount"});
  ASSERT_TRUE(registered);
  std::string row((*registered)->text());
  row.replace(row.find("active ") + 7, digest.size(), digest);
  ASSERT_TRUE(redis->call({"HSET", store::kFunctionsKey, "wordcount", row}));
  ASSERT_TRUE(redis->call({"HSET", store::kShippedKey, "wordcount", digest}));
  up.stop();
  Up again(data_);
  const json after =
      json::parse(again.run({"--json", "functions", "describe", "wordcount"}).output);
  EXPECT_EQ(after["generation"], 5);
  EXPECT_EQ(after["digest"], before["digest"]);
}

TEST_F(UpTest, ClosesJournalAndLogsToOthersAndLetsFunctionsReachTheStorage) {
  Up up(dir_.file("new"), {}, /*make_directory=*/false);
  const auto others = [&](const std::string& name) {
    return fs::status(dir_.file("new") + name).permissions() & fs::perms::others_all;
  };
  EXPECT_EQ(others(""), fs::perms::others_exec);
  for (const std::string closed : {"/run", "/redis", "/log"}) {
    EXPECT_EQ(others(closed), fs::perms::none) << closed;
  }
  // As the function's own user, which is not root's.
  fs::create_directories(dir_.file("new") + "/storage/photos");
  fs::permissions(dir_.path(), fs::perms::others_exec, fs::perm_options::add);
  fs::copy(FANFARE_SOURCE_DIR "/ops/demo-data/chart.png", dir_.file("new") + "/storage/photos/");
  const auto thumbnail =
      up.run({"invoke", "thumbnail", "--data", R"({"bucket":"photos","key":"chart.png"})"});
  EXPECT_EQ(thumbnail.exit_code, kDone) << thumbnail.output;
}

TEST_F(UpTest, SaysThatAFunctionsOwnFolderIsNotAFolderOfFunctions) {
  const std::string functions = flaky_functions(dir_);
  Up up(data_, {"--functions", functions + "/flaky"});
  EXPECT_THAT(up.log(), HasSubstr("name the one that it lies in, " + functions + "\n"));
}

TEST_F(UpTest, RemarksOnFunctionsThatNoEventReaches) {
  Up up(data_, {"--no-examples"});
  const std::string folder = flaky_functions(dir_) + "/flaky";
  std::ofstream(folder + "/function.toml") << "";
  const auto by_name = up.run({"functions", "deploy", folder});
  EXPECT_EQ(by_name.exit_code, kDone);
  EXPECT_THAT(by_name.output, HasSubstr("no event reaches flaky"));
  std::ofstream(folder + "/function.toml") << "[[on]]\npattern = '{\"typ\": [\"a\"]}'\n";
  EXPECT_THAT(up.run({"functions", "deploy", folder}).output, HasSubstr("did you mean type?"));
  std::ofstream(folder + "/function.toml") << "[[on]]\npattern = '{\"type\": [1]}'\n";
  const auto refused = up.run({"functions", "deploy", folder});
  EXPECT_EQ(refused.exit_code, kRefused);
  EXPECT_THAT(refused.output, HasSubstr(folder + "/function.toml: "));
}

TEST_F(UpTest, TakesEventsAsLargeAsItsBrokerIsToldAndSaysHowLargeThatIs) {
  const std::string words = dir_.file("words");
  std::ofstream(words) << std::string(2 << 20, 'w');
  const std::vector<std::string> publish{"publish", "--type",    "text.submitted",
                                         "--data",  "@" + words, "--wait"};
  {
    Up up(data_);
    const auto refused = up.run(publish);
    EXPECT_EQ(refused.exit_code, kRefused);
    EXPECT_THAT(refused.output, HasSubstr("max_event_bytes is 1048576"));
    up.stop();
  }
  setenv("FANFARE_BROKER_MAX_EVENT_BYTES", "4MiB", 1);
  Up up(data_);
  unsetenv("FANFARE_BROKER_MAX_EVENT_BYTES");
  const auto taken = up.run(publish);
  EXPECT_EQ(taken.exit_code, kDone) << taken.output;
  EXPECT_THAT(taken.output, HasSubstr("wordcount succeeded"));
}

TEST_F(UpTest, GivesTheBrokerHugePagesBesideWhatTheCallerHasTuned) {
  const auto tuned = [&](const char* by_caller) {
    if (by_caller) setenv("GLIBC_TUNABLES", by_caller, 1);
    Up up(data_, {"--no-examples"});
    unsetenv("GLIBC_TUNABLES");
    const std::string environment =
        read_file(fmt::format("/proc/{}/environ", up.pid_of("fanfare-broker")));
    up.stop();
    // glibc writes a 0 over each colon that it has read.
    std::vector<std::string> found;
    std::istringstream words(environment);
    for (std::string one; std::getline(words, one, '\0');) {
      if (one.find("glibc.malloc.") != one.npos) found.push_back(one);
    }
    return fmt::format("{}", fmt::join(found, ":"));
  };
  EXPECT_EQ(tuned(nullptr), "GLIBC_TUNABLES=glibc.malloc.hugetlb=1");
  EXPECT_EQ(tuned("glibc.malloc.arena_max=2"),
            "GLIBC_TUNABLES=glibc.malloc.arena_max=2:glibc.malloc.hugetlb=1");
  EXPECT_EQ(tuned("glibc.malloc.hugetlb=0"), "GLIBC_TUNABLES=glibc.malloc.hugetlb=0");
}

TEST_F(UpTest, NamesTheLinesThatWereNotPublished) {
  Up up(data_, {"--no-examples"});
  const std::string lines = dir_.file("lines");
  std::ofstream(lines) << "one\n" << std::string((1 << 20) + 1, 'x') << "\nthree\n";
  const auto published = run_and_capture(
      {"/bin/sh", "-c",
       kFanfare + " --data " + data_ + " publish --type t --lines --json <" + lines},
      30s);
  ASSERT_TRUE(published);
  EXPECT_EQ(published->exit_code, kRefused);
  EXPECT_THAT(published->output, HasSubstr("line 2 was not published: too_large"));
  EXPECT_THAT(published->output, HasSubstr("1 of 3 events"));
}

TEST_F(UpTest, RefusesASecondOneOnTheSameDirectory) {
  Up up(data_, {"--no-examples"});
  const auto second = up.run({"up"});
  EXPECT_EQ(second.exit_code, kRefused);
  EXPECT_THAT(second.output, HasSubstr("in use"));
}

TEST_F(UpTest, DrainsAndLeavesNothingRunningAndStartsAgainOnItsData) {
  std::string id;
  {
    Up up(data_);
    const auto published =
        up.run({"--json", "publish", "--type", "text.submitted", "--data", "a b", "--wait"});
    id = json::parse(published.output)["id"];
    EXPECT_EQ(up.stop(), 0) << up.log();
    EXPECT_TRUE(up.processes().empty());
  }
  Up again(data_);
  const auto result = again.run({"--json", "result", id, "wordcount"});
  EXPECT_EQ(result.exit_code, kDone) << result.output;
  EXPECT_EQ(again.stop(), 0);
}

TEST_F(UpTest, LeavesNothingRunningWhenItIsKilled) {
  Up up(data_);
  ASSERT_GE(up.processes().size(), 3u);
  up.kill_hard();
  EXPECT_TRUE(up.wait([&] { return up.processes().empty(); }));
}

TEST_F(UpTest, RestartsAChildThatDiesAndSaysSo) {
  Up up(data_);
  for (const std::string program : {"fanfare-worker", "fanfare-broker", "redis-server"}) {
    const pid_t before = up.pid_of(program);
    ASSERT_GT(before, 0) << program;
    kill(before, SIGKILL);
    EXPECT_TRUE(up.wait([&] {
      const pid_t now = up.pid_of(program);
      return now > 0 && now != before;
    })) << program;
    const auto published =
        up.run({"publish", "--type", "text.submitted", "--data", "still here", "--wait=20s"});
    EXPECT_EQ(published.exit_code, kDone) << program << "\n" << published.output << up.log();
  }
  EXPECT_THAT(up.log(), HasSubstr("starting it again"));
  EXPECT_EQ(up.stop(), 0) << up.log();
}

}  // namespace
}  // namespace fanfare::cli
