// Dead letters under an operator's hands: the command line, and processes killed meanwhile.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "store/keys.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// An installation with a function that fails for good until it is repaired.
class Letters : public ::testing::Test {
 protected:
  Letters() {
    installation_.deploy("functions-testing/moody",
                         fmt::format("[env]\nMOODY_FILE = \"{}\"\n", repaired_));
  }
  void repair() {
    std::ofstream(repaired_).close();
    namespace fs = std::filesystem;  // for instances, which run as somebody else
    fs::permissions(fs::path(repaired_).parent_path(), fs::perms::all);
  }

  std::vector<protocol::EventId> publish(std::size_t count, const std::string& data = "x") {
    protocol::Event event;
    event.source = "/tests";
    event.type = "moody";
    event.content_type = "application/json";
    event.data = data;
    std::vector<std::future<Result<client::Receipt>>> futures;
    for (std::size_t i = 0; i < count; ++i) {
      futures.push_back(installation_.client().publish(event));
    }
    std::vector<protocol::EventId> ids;
    for (auto& future : futures) {
      const auto receipt = future.get();
      EXPECT_TRUE(receipt) << receipt.error().message;
      if (receipt) ids.push_back(receipt->id);
    }
    return ids;
  }
  std::size_t letters() {
    return std::stoul(installation_.redis().command({"XLEN", store::dead_key("moody")}));
  }
  void await_letters(std::size_t count) {
    ASSERT_TRUE(eventually([&] { return letters() == count; }, 60s)) << installation_.logs();
  }
  std::vector<std::string> fanfare(std::vector<std::string> words) const {
    std::vector<std::string> all{FANFARE_BIN_DIR "/fanfare", "--broker", installation_.endpoint(),
                                 "--redis", "unix://" + redis_socket_};
    all.insert(all.end(), words.begin(), words.end());
    return all;
  }
  cli::ChildOutput run(std::vector<std::string> words) {
    auto ran = cli::run_and_capture(fanfare(std::move(words)), 60s);
    EXPECT_TRUE(ran) << ran.error().message;
    return ran ? *ran : cli::ChildOutput{};
  }
  json run_json(std::vector<std::string> words) {
    words.push_back("--json");
    const auto ran = run(words);
    EXPECT_EQ(ran.exit_code, cli::kDone) << ran.output;
    return json::parse(ran.output, nullptr, false);
  }

  Installation installation_;
  const std::string repaired_ = installation_.file("repaired");
  const std::string redis_socket_ = installation_.redis().socket_path();
};

TEST_F(Letters, AreFoundByPatternShownRedrivenAndPurged) {
  const auto low = publish(1, R"({"level":1})");
  const auto high = publish(2, R"({"level":7})");
  await_letters(3);
  const std::string where = R"({"data":{"level":[{"numeric":[">",5]}]},"error":{"type":["Moody"]},)"
                            R"("reason":["not_retryable"],"attempts":[1]})";
  EXPECT_EQ(run_json({"dlq", "list", "moody"}).size(), 3u);
  EXPECT_EQ(run_json({"dlq", "list", "moody", "--where", where}).size(), 2u);
  EXPECT_EQ(run_json({"dlq", "list", "moody", "--where", where, "--limit", "1"}).size(), 1u);
  EXPECT_EQ(run_json({"dlq", "list", "moody", "--where", R"({"attempts":[2]})"}).size(), 0u);
  EXPECT_EQ(run_json({"dlq", "redrive", "moody", "--where", where, "--dry-run"})["matched"], 2);
  EXPECT_EQ(letters(), 3u);

  repair();
  const std::string id = protocol::to_string(low[0]);
  EXPECT_EQ(run_json({"dlq", "redrive", "moody", id})["redriven"], 1);
  const auto record = installation_.result("moody", low[0]);
  EXPECT_EQ(record.status, protocol::Status::kSucceeded);
  const auto ledger = protocol::unpack_ledger(record.ledger);
  ASSERT_EQ(ledger->size(), 3u);
  EXPECT_EQ(ledger->at(1).outcome, protocol::Outcome::kRedriven);
  EXPECT_EQ(ledger->at(2).number, 1u) << "attempts count anew";
  EXPECT_EQ(run({"dlq", "redrive", "moody", id}).exit_code, cli::kRefused) << "it is none any more";

  EXPECT_EQ(run({"dlq", "purge", "moody"}).exit_code, cli::kUsage) << "nobody can be asked";
  EXPECT_EQ(letters(), 2u);
  EXPECT_EQ(run_json({"dlq", "purge", "moody", "--where", where, "--yes"})["purged"], 2);
  EXPECT_EQ(letters(), 0u);
  EXPECT_THAT(run({"dlq", "list", "moody"}).output, HasSubstr("no dead letters of moody"));
}

TEST_F(Letters, ASlipOfThePenIsExplained) {
  const auto misspelt = run({"dlq", "list", "moodi"});
  EXPECT_EQ(misspelt.exit_code, cli::kRefused);
  EXPECT_THAT(misspelt.output, HasSubstr("did you mean moody?"));
  const auto pattern = run({"dlq", "list", "moody", "--where", "reason=expired"});
  EXPECT_EQ(pattern.exit_code, cli::kUsage);
  EXPECT_THAT(pattern.output, HasSubstr("--where: the pattern is not JSON"));
}

TEST_F(Letters, ARedriveKeepsToItsRate) {
  publish(30);
  await_letters(30);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(run_json({"dlq", "redrive", "moody", "--rate", "20/s"})["redriven"], 30);
  EXPECT_GT(std::chrono::steady_clock::now() - began, 1300ms);
}

// Kills what `kill` names once a tenth is redriven, and asks again until all are.
class LettersUnderFire : public Letters {
 protected:
  static constexpr std::size_t kCount = 5000;

  void redrive_all(const std::function<void()>& kill) {
    const auto ids = publish(kCount);
    await_letters(kCount);
    repair();
    Process first(fanfare({"dlq", "redrive", "moody"}), {}, installation_.file("redrive.log"));
    ASSERT_TRUE(eventually([&] { return letters() < kCount - kCount / 10; }));
    kill();
    EXPECT_GT(letters(), 0u) << "all were redriven before the kill: it tried nothing";
    first.wait_end(60s);
    ASSERT_TRUE(eventually(
        [&] {
          const auto again = run({"dlq", "redrive", "moody"});
          return again.exit_code == cli::kDone && letters() == 0;
        },
        60s))
        << installation_.logs();
    const auto redis = installation_.redis().options();
    ASSERT_TRUE(eventually([&] { return all_ended(redis, "moody"); }, 60s)) << installation_.logs();
    counted_ = audit(redis, "moody", ids);
    fmt::print(
        "{} letters redriven, results {}, violations {}, counts: accepted {}, succeeded {}\n",
        kCount, counted_.results, counted_.violations.size(), counted_.counts["accepted"],
        counted_.counts["succeeded"]);
  }
  void expect_each_exactly_once() {
    EXPECT_THAT(counted_.violations, IsEmpty());
    EXPECT_EQ(counted_.results, kCount);
    EXPECT_EQ(counted_.letters, 0u);
    EXPECT_EQ(counted_.counts["accepted"], static_cast<std::int64_t>(kCount));
    EXPECT_EQ(counted_.counts["succeeded"], static_cast<std::int64_t>(kCount));
  }

  Audit counted_;
};

TEST_F(LettersUnderFire, EndOnceWhenTheBrokerIsKilledMeanwhile) {
  redrive_all([&] {
    installation_.broker().kill_hard();
    installation_.start_broker();
  });
  expect_each_exactly_once();
}

TEST_F(LettersUnderFire, EndOnceWhenRedisIsKilledMeanwhile) {
  redrive_all([&] {
    installation_.redis().kill_hard();
    installation_.redis().start();
  });
  expect_each_exactly_once();
}

// The control: a letter that leaves the dead letters in one step and would have come back in
// another is noticed.
TEST_F(LettersUnderFire, ALetterThatIsTakenAndNotPutBackIsMissed) {
  redrive_all([&] {
    const std::string key{store::dead_key("moody")};
    const auto newest = RedisSync::connect(installation_.redis().options())
                            ->call({"XREVRANGE", key, "+", "-", "COUNT", "1"});
    installation_.redis().command({"XDEL", key, std::string((**newest)[0][0].text())});
  });
  EXPECT_THAT(counted_.violations, Contains(HasSubstr("has 0 dead letters")));
  EXPECT_LT(counted_.counts["succeeded"], static_cast<std::int64_t>(kCount));
}

}  // namespace
}  // namespace fanfare::test
