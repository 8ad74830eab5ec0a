// Each process in turn is killed while events arrive at 4,000 per second. Then every event that was
// acknowledged must have its one result.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "protocol/record.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"
#include "tests/integration/load_log.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;

// Of what is not optimised and checks itself, on a slow machine, so many are done within the time.
#if defined(FANFARE_SANITIZED)
constexpr double kRate = 1000;
#else
constexpr double kRate = 4000;
#endif
constexpr double kSeconds = 5;

// An installation with one function and a publisher that has begun.
class UnderLoad {
 public:
  explicit UnderLoad(const std::string& folder = "builtin/noop", InstallationOptions options = {})
      : function_(std::filesystem::path(folder).filename()), installation_(std::move(options)) {
    const char* given = std::getenv("FANFARE_TEST_SEED");
    seed_ = given ? static_cast<std::uint32_t>(std::strtoul(given, nullptr, 10))
                  : std::random_device{}();
    random_.seed(seed_);
    installation_.deploy(folder);
    publisher_ = std::make_unique<Process>(
        std::vector<std::string>{FANFARE_BINARY_DIR "/tests/load_publisher",
                                 installation_.endpoint(), function_, fmt::format("{}", kRate),
                                 fmt::format("{}", kSeconds), log_file_},
        Process::Environment{}, installation_.file("publisher.err"));
  }

  Installation& installation() { return installation_; }
  Process& publisher() { return *publisher_; }

  // Lets the load run until an instant of this seed between 1 s and 4 s, and no longer.
  void run_until_the_kill() {
    const double at = std::uniform_real_distribution<>(1, 4)(random_);
    fmt::print("seed {}: the kill comes after {:.3f} s (FANFARE_TEST_SEED repeats it)\n", seed_,
               at);
    const std::size_t events = static_cast<std::size_t>(at * kRate);
    ASSERT_TRUE(eventually([&] { return read_load_log(log_file_).sent >= events; }, 20s));
  }

  // Another tenth of a second's load comes in.
  void take_in_some() {
    const std::size_t sent = read_load_log(log_file_).sent;
    EXPECT_TRUE(eventually([&] { return read_load_log(log_file_).sent >= sent + 400; }));
  }

  void wait_for_acknowledged(std::size_t count) {
    EXPECT_TRUE(eventually([&] { return read_load_log(log_file_).acknowledged.size() >= count; }));
  }

  // An instance that is there and stands still. They come and go with the load: there may be none.
  pid_t stopped_instance() {
    pid_t instance = -1;
    EXPECT_TRUE(eventually([&] {
      const auto children = installation_.children_of_worker();
      if (children.size() < 2) return false;  // its zygote comes first
      instance = children.back();
      return ::kill(instance, SIGSTOP) == 0;
    })) << installation_.logs();
    return instance;
  }

  // Stopped first, while load comes in: so they die with work in their hands.
  void kill_while_they_hold_work(const std::vector<pid_t>& pids) {
    for (const pid_t pid : pids) ::kill(pid, SIGSTOP);
    take_in_some();
    for (const pid_t pid : pids) EXPECT_EQ(::kill(pid, SIGKILL), 0) << pid << " had ended before";
    EXPECT_TRUE(eventually([&] {
      const auto now = installation_.children_of_worker();
      return !now.empty() && std::none_of(pids.begin(), pids.end(), [&](pid_t pid) {
        return std::find(now.begin(), now.end(), pid) != now.end();
      });
    })) << "the worker has not replaced what was killed";
  }

  // While its worker stands still, so that it dies with deliveries that nobody else has.
  void kill_the_broker_while_it_holds_work() {
    ::kill(installation_.worker().pid(), SIGSTOP);
    take_in_some();
    installation_.broker().kill_hard();
    installation_.start_broker();
    ::kill(installation_.worker().pid(), SIGCONT);
  }

  // Class memory has no count of what is open: until nothing has ended for a second.
  void come_to_rest() {
    EXPECT_EQ(publisher_->wait_end(60s), 0) << installation_.logs();
    const auto succeeded = [this] {
      return audit(installation_.redis().options(), function_, {}).counts["succeeded"];
    };
    auto before = succeeded();
    auto since = std::chrono::steady_clock::now();
    EXPECT_TRUE(eventually(
        [&] {
          const auto now = succeeded();
          if (now != before) since = std::chrono::steady_clock::now();
          before = now;
          return std::chrono::steady_clock::now() - since > 1s;
        },
        60s));
  }

  // What became of it, once the publisher has ended and nothing is open any more. What a killed one
  // had sent last may lie in the broker's socket still: so nothing new comes for a while, either.
  Audit count(const char* killed) {
    if (publisher_->running()) {
      EXPECT_EQ(publisher_->wait_end(60s), 0) << installation_.logs();
    }
    const auto redis = installation_.redis().options();
    std::int64_t accepted = -1;
    auto since = std::chrono::steady_clock::now();
    const auto came_to_rest = [&] {
      const std::int64_t now = audit(redis, function_, {}).counts["accepted"];
      if (now != std::exchange(accepted, now)) since = std::chrono::steady_clock::now();
      return all_ended(redis, function_) && std::chrono::steady_clock::now() - since > 300ms;
    };
    const bool ended = eventually(came_to_rest, 30s);
    EXPECT_TRUE(ended) << installation_.logs();
    const LoadLog log = read_load_log(log_file_);
    Audit counted = audit(redis, function_, log.acknowledged);
    fmt::print(
        "{} killed: sent {}, acknowledged {}, unknown {}, refused {}, accepted {}, "
        "results of acknowledged {}, repeated attempts {}, dead {}\n",
        killed, log.sent, log.acknowledged.size(), log.unknown(), log.refused.size(),
        counted.counts["accepted"], counted.results, counted.repeats, counted.letters);
    if (!log.refused.empty()) fmt::print("refused, for one: {}\n", log.refused.front());
    EXPECT_GT(log.acknowledged.size(), 2000u);
    // Nothing was taken twice: no more deliveries than events were sent.
    EXPECT_LE(counted.counts["accepted"], static_cast<std::int64_t>(log.sent));
    return counted;
  }

  Audit expect_nothing_lost(const char* killed) {
    const Audit counted = count(killed);
    const std::size_t shown = std::min<std::size_t>(counted.violations.size(), 10);
    EXPECT_EQ(counted.violations.size(), 0u)
        << fmt::format("{}", fmt::join(counted.violations.begin(),
                                       counted.violations.begin() + static_cast<long>(shown), "\n"))
        << "\n"
        << installation_.logs();
    EXPECT_EQ(counted.results, counted.acknowledged);
    EXPECT_EQ(counted.letters, 0u);
    return counted;
  }

 private:
  std::string function_;
  std::uint32_t seed_ = 0;
  std::mt19937 random_;
  Installation installation_;
  std::string log_file_ = installation_.file("load.log");
  std::unique_ptr<Process> publisher_;
};

// A Redis whose disk can be made slow.
class SlowDisk {
 public:
  RedisServerOptions redis(const std::string& append_fsync) const {
    RedisServerOptions options;
    options.append_fsync = append_fsync;
    options.environment = {"LD_PRELOAD=" FANFARE_BINARY_DIR "/tests/slow_disk.so",
                           "FANFARE_SLOW_DISK=" + marker_};
    return options;
  }
  void make_slow() const { std::ofstream{marker_}; }
  void make_quick() const { std::filesystem::remove(marker_); }

 private:
  TempDir dir_;
  std::string marker_ = dir_.file("slow");
};

TEST(Kill, OfAnInstanceLosesNothing) {
  UnderLoad load("functions-testing/nap");
  load.run_until_the_kill();
  load.kill_while_they_hold_work({load.stopped_instance()});
  load.expect_nothing_lost("instance");
}

TEST(Kill, OfEveryProcessBelowTheWorkerLosesNothingAndWhatRanIsTriedAgain) {
  UnderLoad load("functions-testing/nap");
  Installation& installation = load.installation();
  installation.deploy("functions-testing/sleepy");
  const auto asleep = installation.publish("sleepy", "5000");  // over the kill, whenever it comes
  load.run_until_the_kill();
  const auto children = installation.children_of_worker();
  ASSERT_GE(children.size(), 2u);
  load.kill_while_they_hold_work(children);
  load.expect_nothing_lost("all instances and zygotes");
  const auto ledger = protocol::unpack_ledger(installation.result("sleepy", asleep, 30s).ledger);
  ASSERT_TRUE(ledger);
  ASSERT_EQ(ledger->size(), 2u);
  EXPECT_EQ(ledger->at(0).outcome, protocol::Outcome::kCrashed);
  EXPECT_EQ(ledger->at(1).outcome, protocol::Outcome::kOk);
}

TEST(Kill, OfTheWorkerLosesNothing) {
  UnderLoad load;
  load.run_until_the_kill();
  load.installation().worker().kill_hard();
  load.installation().start_worker();
  load.expect_nothing_lost("worker");
}

// Of a function that takes a millisecond a worker fetches little ahead: the rest is the broker's.
TEST(Kill, OfTheBrokerLosesNothing) {
  UnderLoad load("functions-testing/nap");
  load.run_until_the_kill();
  load.kill_the_broker_while_it_holds_work();
  load.expect_nothing_lost("broker");
}

TEST(Kill, OfRedisLosesNothing) {
  UnderLoad load;
  load.run_until_the_kill();
  load.installation().redis().kill_hard();
  load.installation().redis().start();
  load.expect_nothing_lost("Redis");
}

// With commits on their way through the broker, each time.
TEST(Kill, OfEachInTurnLosesNothingOfAWorkerThatReachesRedisThroughTheBroker) {
  UnderLoad load("builtin/noop", {.worker = {{"FANFARE_WORKER_REDIS", "broker"}}, .redis = {}});
  Installation& installation = load.installation();
  load.wait_for_acknowledged(2000);
  installation.broker().kill_hard();
  installation.start_broker();
  load.take_in_some();
  installation.worker().kill_hard();
  installation.start_worker();
  load.take_in_some();
  installation.redis().kill_hard();
  installation.redis().start();
  load.take_in_some();
  load.kill_the_broker_while_it_holds_work();
  load.expect_nothing_lost("broker, worker, Redis and broker of a relayed worker");
}

TEST(Kill, OfRedisOnASlowDiskLosesNothing) {
  const SlowDisk disk;
  UnderLoad load("builtin/noop", {.durability = "fsync", .redis = disk.redis("always")});
  load.run_until_the_kill();
  disk.make_slow();
  for (int i = 0; i < 3; ++i) load.take_in_some();
  load.installation().redis().kill_hard();
  disk.make_quick();
  load.installation().redis().start();
  load.expect_nothing_lost("Redis on a slow disk");
}

TEST(Kill, OfThePublisherLosesNothingThatItHadHeardOf) {
  UnderLoad load;
  load.run_until_the_kill();
  load.wait_for_acknowledged(2500);  // or there is little that it has heard of
  load.publisher().kill_hard();
  load.expect_nothing_lost("publisher");
}

// ---- Controls: the same kills with a weaker class, which promises less. They must lose something,
// ---- or the tests above could not tell either.

TEST(KillControl, OfTheBrokerInClassMemoryLosesWhatItHeld) {
  UnderLoad load("functions-testing/nap", {.durability = "memory", .redis = {}});
  load.run_until_the_kill();
  load.kill_the_broker_while_it_holds_work();
  load.come_to_rest();
  const Audit counted = load.count("broker in class memory");
  EXPECT_LT(counted.results, counted.acknowledged);
}

TEST(KillControl, OfRedisOnASlowDiskInClassEverysecLosesWhatWasNotWritten) {
  const SlowDisk disk;
  UnderLoad load("builtin/noop", {.durability = "everysec", .redis = disk.redis("everysec")});
  load.run_until_the_kill();
  disk.make_slow();
  RedisServer& redis = load.installation().redis();
  // Redis does not write while its thread for the disk is at it, and answers all the same.
  EXPECT_TRUE(redis.pause_with_unwritten(50'000, 20s));
  load.take_in_some();  // what it had answered is acknowledged by now
  redis.kill_hard();
  disk.make_quick();
  redis.start();
  const Audit counted = load.count("Redis on a slow disk in class everysec");
  EXPECT_LT(counted.results, counted.acknowledged);
}

}  // namespace
}  // namespace fanfare::test
