// Each process in turn is killed while events arrive at 4,000 per second. Then every event that was
// acknowledged must have its one result.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <random>

#include "tests/integration/audit.h"
#include "tests/integration/installation.h"
#include "tests/integration/load_log.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;

constexpr double kRate = 4000;
constexpr double kSeconds = 5;

class Kill : public ::testing::Test {
 protected:
  Kill() {
    const char* given = std::getenv("FANFARE_TEST_SEED");
    seed_ = given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                  : std::random_device{}();
    random_.seed(seed_);
    installation_.deploy("builtin/noop");
    publisher_ = std::make_unique<Process>(
        std::vector<std::string>{FANFARE_BINARY_DIR "/tests/load_publisher",
                                 installation_.endpoint(), "noop", fmt::format("{}", kRate),
                                 fmt::format("{}", kSeconds), log_file_},
        Process::Environment{}, installation_.file("publisher.err"));
  }

  // Lets the load run until an instant of this seed between 1 s and 4 s, and no longer.
  void run_until_the_kill() {
    const double at = std::uniform_real_distribution<>(1, 4)(random_);
    fmt::print("seed {}: the kill comes after {:.3f} s (FANFARE_TEST_SEED repeats it)\n", seed_,
               at);
    const std::size_t events = static_cast<std::size_t>(at * kRate);
    ASSERT_TRUE(eventually([&] { return read_load_log(log_file_).sent >= events; }, 20s));
  }

  // Stopped first, while a tenth of a second's load comes in: so they die with work in their hands.
  // What they had not begun is no attempt, so not every kill shows as a repeated one.
  void kill_while_they_hold_work(const std::vector<pid_t>& pids) {
    for (const pid_t pid : pids) ::kill(pid, SIGSTOP);
    const std::size_t sent = read_load_log(log_file_).sent;
    EXPECT_TRUE(eventually([&] { return read_load_log(log_file_).sent >= sent + 400; }));
    for (const pid_t pid : pids) EXPECT_EQ(::kill(pid, SIGKILL), 0) << pid << " had ended before";
    EXPECT_TRUE(eventually([&] {
      const auto now = installation_.children_of_worker();
      return !now.empty() && std::none_of(pids.begin(), pids.end(), [&](pid_t pid) {
        return std::find(now.begin(), now.end(), pid) != now.end();
      });
    })) << "the worker has not replaced what was killed";
  }

  void publisher_ends_by_itself() {
    EXPECT_EQ(publisher_->wait_end(60s), 0) << installation_.logs();
  }

  Audit count(const char* killed) {
    const auto redis = installation_.redis().options();
    const bool ended = eventually([&] { return all_ended(redis, "noop"); }, 30s);
    EXPECT_TRUE(ended) << installation_.logs();
    const LoadLog log = read_load_log(log_file_);
    Audit counted = audit(redis, "noop", log.acknowledged);
    fmt::print(
        "{} killed: sent {}, acknowledged {}, unknown {}, refused {}, accepted {}, "
        "results of acknowledged {}, repeated attempts {}, dead {}\n",
        killed, log.sent, log.acknowledged.size(), log.unknown(), log.refused.size(),
        counted.counts["accepted"], counted.results, counted.repeats, counted.letters);
    const std::size_t shown = std::min<std::size_t>(counted.violations.size(), 10);
    EXPECT_EQ(counted.violations.size(), 0u)
        << fmt::format("{}", fmt::join(counted.violations.begin(),
                                       counted.violations.begin() + static_cast<long>(shown), "\n"))
        << "\n"
        << installation_.logs();
    EXPECT_GT(log.acknowledged.size(), 2000u);
    EXPECT_EQ(counted.results, log.acknowledged.size());
    // Nothing was taken twice: no more deliveries than events were sent.
    EXPECT_LE(counted.counts["accepted"], static_cast<std::int64_t>(log.sent));
    EXPECT_EQ(counted.letters, 0u);
    if (!log.refused.empty()) fmt::print("refused, for one: {}\n", log.refused.front());
    return counted;
  }

  std::uint32_t seed_ = 0;
  std::mt19937 random_;
  Installation installation_;
  std::string log_file_ = installation_.file("load.log");
  std::unique_ptr<Process> publisher_;
};

TEST_F(Kill, OfAnInstanceLosesNothing) {
  run_until_the_kill();
  const auto children = installation_.children_of_worker();
  ASSERT_FALSE(children.empty());
  kill_while_they_hold_work({children.back()});  // the youngest: zygotes come first
  publisher_ends_by_itself();
  count("instance");
}

TEST_F(Kill, OfEveryProcessBelowTheWorkerLosesNothing) {
  run_until_the_kill();
  const auto children = installation_.children_of_worker();
  ASSERT_GE(children.size(), 2u);
  kill_while_they_hold_work(children);
  publisher_ends_by_itself();
  count("all instances and zygotes");
}

TEST_F(Kill, OfTheWorkerLosesNothing) {
  run_until_the_kill();
  installation_.worker().kill_hard();
  installation_.start_worker();
  publisher_ends_by_itself();
  count("worker");
}

TEST_F(Kill, OfTheBrokerLosesNothing) {
  run_until_the_kill();
  installation_.broker().kill_hard();
  installation_.start_broker();
  publisher_ends_by_itself();
  count("broker");
}

TEST_F(Kill, OfRedisLosesNothing) {
  run_until_the_kill();
  installation_.redis().kill_hard();
  installation_.redis().start();
  publisher_ends_by_itself();
  count("Redis");
}

TEST_F(Kill, OfThePublisherLosesNothingThatItHadHeardOf) {
  run_until_the_kill();
  publisher_->kill_hard();
  count("publisher");
}

}  // namespace
}  // namespace fanfare::test
