// The driver between a systemd and a broker that are played here.
#include "autoscaler/systemd_driver.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <optional>
#include <set>

namespace fanfare::autoscaler {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Units run at once when they are started, and are gone at once when they are stopped. Called on
// the driver's threads, one at a time.
struct Systemd {
  std::map<std::uint32_t, std::uint32_t> running;  // number → process
  std::set<std::string> masked;
  std::string away;  // why it does not answer
  std::vector<std::string> asked;
};

class PlayedManager final : public UnitManager {
 public:
  explicit PlayedManager(Systemd& systemd) : systemd_(systemd) {}
  Result<std::vector<WorkerUnit>> units(const std::string& prefix,
                                        const std::vector<std::uint32_t>& pids) override {
    EXPECT_EQ(prefix, "w@");
    std::vector<WorkerUnit> units;
    for (const auto& [number, pid] : systemd_.running) {
      const bool is_known = std::ranges::find(pids, pid) != pids.end();
      units.push_back({.number = number, .pid = is_known ? pid : 0});
    }
    return units;
  }
  Result<void> start(const std::string& unit) override {
    systemd_.asked.push_back("start " + unit);
    if (!systemd_.away.empty()) return reconnect(systemd_.away);
    if (systemd_.masked.contains(unit)) return fatal(unit + " is masked");
    const std::uint32_t number = number_in(unit, "w@");
    systemd_.running[number] = 100 + number;
    return {};
  }
  Result<void> stop(const std::string& unit) override {
    systemd_.asked.push_back("stop " + unit);
    systemd_.running.erase(number_in(unit, "w@"));
    return {};
  }

 private:
  Systemd& systemd_;
};

class SystemdDriverTest : public ::testing::Test {
 protected:
  void run_workers(std::uint32_t count) {
    for (std::uint32_t number = 1; number <= count; ++number)
      systemd_.running[number] = 100 + number;
  }
  // As the broker would show those that run.
  std::vector<ConnectedWorker> connected() {
    std::vector<ConnectedWorker> workers;
    for (const auto& [number, pid] : systemd_.running) {
      const std::string name = fmt::format("host-{}", number);
      workers.push_back({.name = name,
                         .state = quiet_.contains(name) ? "quiet" : "running",
                         .host = "here",
                         .pid = pid,
                         .slots = 8,
                         .held = held_});
    }
    return workers;
  }
  WorkerSet count() {
    std::optional<Result<WorkerSet>> answer;
    driver_.count(connected(), [&](Result<WorkerSet> set) { answer = std::move(set); });
    loop_.run_until([&] { return answer.has_value(); }, 20s);
    return **answer;
  }
  // A tick.
  Result<std::string> scale_to(std::uint32_t workers) {
    count();
    std::optional<Result<std::string>> answer;
    driver_.scale_to(workers, [&](Result<std::string> said) { answer = std::move(said); });
    loop_.run_until([&] { return answer.has_value(); }, 20s);
    return *answer;
  }
  std::vector<Drain> release() {
    std::optional<std::vector<Drain>> left;
    driver_.release([&](std::vector<Drain> drains) { left = std::move(drains); });
    loop_.run_until([&] { return left.has_value(); }, 20s);
    return *left;
  }
  std::vector<std::uint32_t> running() const {
    std::vector<std::uint32_t> numbers;
    for (const auto& [number, pid] : systemd_.running) numbers.push_back(number);
    return numbers;
  }
  void on_word(const std::string& worker, bool quiet, std::function<void(Result<void>)> done) {
    said_.push_back((quiet ? "quiet " : "work ") + worker);
    Result<void> answer = broker_says_;
    if (answer) quiet ? void(quiet_.insert(worker)) : void(quiet_.erase(worker));
    loop_.post([done = std::move(done), answer] { done(answer); });
  }

  Loop loop_;
  Systemd systemd_;
  std::set<std::string> quiet_;
  std::uint64_t held_ = 1;
  Result<void> broker_says_;
  std::vector<std::string> said_;
  SystemdDriver driver_{
      loop_,
      {.prefix = "w@",
       .boot = "here",
       .finish_time = 15min,
       .connect = [this]() -> Result<std::unique_ptr<UnitManager>> {
         return std::unique_ptr<UnitManager>(new PlayedManager(systemd_));
       },
       .tell_broker =
           [this](const std::string& worker, bool quiet, std::function<void(Result<void>)> done) {
             on_word(worker, quiet, std::move(done));
           }}};
};

TEST_F(SystemdDriverTest, AWorkerThatGoesFinishesBeforeItIsStopped) {
  run_workers(2);
  auto said = scale_to(1);
  ASSERT_TRUE(said) << said.error().message;
  EXPECT_EQ(*said, "told to finish: 2");
  EXPECT_EQ(count().running, 1u);
  EXPECT_EQ(count().leaving, 1u);
  EXPECT_EQ(*scale_to(1), "") << "it holds something";
  EXPECT_THAT(running(), ElementsAre(1, 2));
  held_ = 0;
  EXPECT_EQ(*scale_to(1), "stopping 2");
  EXPECT_THAT(running(), ElementsAre(1));
  EXPECT_EQ(*scale_to(1), "");
  EXPECT_THAT(said_, ElementsAre("quiet host-2", "work host-2")) << "for the next of this name";
  EXPECT_THAT(count().drains, IsEmpty());
}

TEST_F(SystemdDriverTest, AWorkerThatFinishesIsTakenBackWhenItIsNeeded) {
  run_workers(2);
  ASSERT_TRUE(scale_to(1));
  EXPECT_EQ(*scale_to(3), "took back 2; started 3");
  EXPECT_THAT(systemd_.asked, ElementsAre("start w@3.service"));
  EXPECT_THAT(quiet_, IsEmpty());
  EXPECT_EQ(count().running, 3u);
}

TEST_F(SystemdDriverTest, OneThatTheBrokerCannotMakeQuietIsStopped) {
  run_workers(2);
  broker_says_ = reject("of a version that cannot be drained");
  EXPECT_EQ(*scale_to(1), "stopping 2");
  EXPECT_THAT(running(), ElementsAre(1));
}

TEST_F(SystemdDriverTest, ABrokerThatDoesNotAnswerIsAskedAgain) {
  run_workers(2);
  broker_says_ = retry_later("busy");
  EXPECT_FALSE(scale_to(1));
  EXPECT_THAT(running(), ElementsAre(1, 2));
  broker_says_ = {};
  EXPECT_EQ(*scale_to(1), "told to finish: 2");
}

// A unit that is masked holds no other up, and another one takes its place with the next tick.
TEST_F(SystemdDriverTest, ANumberThatCannotBeStartedIsSteppedOver) {
  systemd_.masked = {"w@2.service"};
  const auto first = scale_to(3);
  ASSERT_FALSE(first);
  EXPECT_THAT(first.error().message, HasSubstr("w@2.service is masked; started 1, 3"));
  EXPECT_EQ(count().refused, 1u);
  EXPECT_EQ(*scale_to(3), "started 4");
  EXPECT_THAT(running(), ElementsAre(1, 3, 4));
  EXPECT_THAT(systemd_.asked, ElementsAre("start w@1.service", "start w@2.service",
                                          "start w@3.service", "start w@4.service"));
}

// Each call would take as long as the first; none of them was refused.
TEST_F(SystemdDriverTest, ASystemdThatDoesNotAnswerIsAskedOnceATick) {
  systemd_.away = "no answer";
  EXPECT_EQ(scale_to(3).error().message, "no answer");
  EXPECT_THAT(systemd_.asked, ElementsAre("start w@1.service"));
  EXPECT_EQ(count().refused, 0u);
  systemd_.away.clear();
  EXPECT_EQ(*scale_to(3), "started 1, 2, 3");
}

TEST_F(SystemdDriverTest, WhoeverEndsInOrderTakesBackThoseThatDrain) {
  run_workers(3);
  ASSERT_TRUE(scale_to(1));
  EXPECT_EQ(quiet_.size(), 2u);
  EXPECT_THAT(release(), IsEmpty());
  EXPECT_THAT(quiet_, IsEmpty());
}

TEST_F(SystemdDriverTest, OneThatIsToldToStopIsLeftToWhoeverIsStartedNext) {
  run_workers(2);
  ASSERT_TRUE(scale_to(1));
  held_ = 0;
  ASSERT_TRUE(scale_to(1));
  broker_says_ = reject("it was told to stop and cannot be taken back");
  const auto left = release();
  ASSERT_EQ(left.size(), 1u);
  EXPECT_TRUE(left[0].stopped);
  broker_says_ = {};
  Drain handed_on = left[0];
  driver_.adopt({handed_on});
  EXPECT_EQ(*scale_to(1), "");
  EXPECT_EQ(said_.back(), "work host-2");
  EXPECT_THAT(count().drains, IsEmpty());
}

TEST_F(SystemdDriverTest, ReleasesAlsoNobody) {
  EXPECT_THAT(release(), IsEmpty());
}

}  // namespace
}  // namespace fanfare::autoscaler
