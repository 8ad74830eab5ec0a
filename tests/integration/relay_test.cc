// Workers that have no address of Redis: all they want of it goes through the broker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "base/sha256.h"
#include "cli/deploy.h"
#include "protocol/package.h"
#include "store/usage.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using protocol::Status;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Relayed : public ::testing::Test {
 protected:
  // Connections of other processes than Redis' own.
  std::string clients() {
    const std::string info = installation_.redis().command({"INFO", "clients"});
    const std::size_t at = info.find("connected_clients:");
    return info.substr(at, info.find('\r', at) - at);
  }
  nlohmann::json status() {
    return nlohmann::json::parse(installation_.client().admin("status", "{}").value());
  }
  void wait_until_all_ended(const std::string& function) {
    EXPECT_TRUE(
        eventually([&] { return all_ended(installation_.redis().options(), function); }, 30s))
        << installation_.logs();
  }

  Installation installation_{{.worker = {{"FANFARE_WORKER_REDIS", "broker"}}, .redis = {}}};
};

TEST_F(Relayed, AThousandEventsHaveOneResultEachAndNoWorkerIsConnectedToRedis) {
  installation_.deploy("builtin/noop");
  const auto ids = installation_.publish_all("noop", std::vector<std::string>(1000));
  wait_until_all_ended("noop");
  const auto counted = audit(installation_.redis().options(), "noop", ids);
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.results, 1000u);
  EXPECT_EQ(status()["workers"][0]["relayed"], true);

  const std::string before = clients();
  const auto another = installation_.start_another_worker("another");
  EXPECT_EQ(clients(), before);
}

TEST_F(Relayed, RetriesRowsBatchesInvocationsAndUsageGoTheSameWay) {
  installation_.deploy("functions-testing/flaky", "[retry]\nbase = \"10ms\"\n");
  const auto flaky = installation_.publish("flaky", "2");
  EXPECT_EQ(installation_.result("flaky", flaky).output, "done in attempt 2");

  installation_.deploy("functions-testing/keeps");
  const auto written = installation_.publish("keeps", "put a 1\nadd n 5\nget a\nget n");
  EXPECT_EQ(installation_.result("keeps", written).output, "ok\nok\n1\n5\n");
  const auto read = installation_.publish("keeps", "get n\nlist * 10");
  EXPECT_EQ(installation_.result("keeps", read).output, "5\na=1 n=5 | \n");
  protocol::Event event;
  event.source = "/tests";
  event.type = "keeps";
  event.data = "add n 1";
  const auto invoked = installation_.client().invoke("keeps", event, 20s);
  ASSERT_TRUE(invoked) << invoked.error().message;
  event.data = "get n";
  EXPECT_EQ(installation_.client().invoke("keeps", event, 20s)->output, "6\n");

  installation_.deploy("functions-testing/gather", "[batch]\nsize = 10\nwindow = \"2s\"\n");
  const auto batch = installation_.publish_all("gather", std::vector<std::string>(10, "x"));
  EXPECT_EQ(installation_.result("gather", batch[9]).output, "x of 10");

  const auto usage = [&] {
    const std::int64_t hour = store::hour_of(to_ms(read_clocks().wall));
    return installation_.redis().command(
        {"HGET", "fanfare:usage:" + store::hour_name(hour), store::usage_field("flaky", "")});
  };
  EXPECT_TRUE(eventually([&] { return usage().starts_with("2 1 "); })) << usage();
}

TEST_F(Relayed, AMegabyteOfRowsAndAMegabyteOfResultFit) {
  installation_.deploy("functions-testing/keeps");
  std::string write, read;
  for (int i = 0; i < 5; ++i) {
    write += "large k" + std::to_string(i) + " 200000\n";
    read += "get k" + std::to_string(i) + "\n";
  }
  const auto written = installation_.publish("keeps", write);
  EXPECT_EQ(installation_.result("keeps", written).status, Status::kSucceeded);
  const auto got = installation_.publish("keeps", read);
  EXPECT_EQ(installation_.result("keeps", got).output.size(), 5u * 200'001);
}

TEST_F(Relayed, APackageOfSeveralPartsArrivesWholeAlsoWhenTheBrokerIsKilledMeanwhile) {
  TempDir folder;
  fs::copy(FANFARE_BINARY_DIR "/builtin/noop", folder.path(), fs::copy_options::recursive);
  std::mt19937 random{7};
  std::string noise(5u << 20, '\0');
  for (std::size_t i = 0; i + 4 <= noise.size(); i += 4) {
    const auto word = static_cast<std::uint32_t>(random());
    std::memcpy(&noise[i], &word, sizeof word);
  }
  std::ofstream(folder.file("model.bin")) << noise;
  cli::Checked checked;
  checked.name = "noop";
  checked.manifest_toml =
      "name = \"noop\"\nhandler = \"noop.so\"\n[[on]]\npattern = '{\"type\": [\"noop\"]}'\n";
  checked.package = protocol::pack_directory(folder.path()).value();
  checked.digest = sha256_hex(checked.package);
  auto redis = RedisSync::connect(installation_.redis().options()).value();
  ASSERT_TRUE(cli::deploy_function(checked, redis, installation_.client()));
  // The worker that was there has it by now. One that comes afterwards has yet to fetch it.
  installation_.worker().kill_hard();
  const auto id = installation_.publish("noop", "x");
  const auto late = installation_.launch_worker("late");
  ASSERT_TRUE(eventually(
      [this] { return installation_.logs().find("worker late joined") != std::string::npos; }));
  installation_.broker().kill_hard();
  installation_.start_broker();
  EXPECT_EQ(installation_.result("noop", id, 30s).status, Status::kSucceeded)
      << installation_.logs();
  const fs::path unpacked = installation_.file("cache-late") + "/" + checked.digest;
  EXPECT_EQ(fs::file_size(unpacked / "model.bin"), noise.size());
}

}  // namespace
}  // namespace fanfare::test
