// max_concurrency: never more at once over all workers, and never fewer than could be.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "broker/core_world.h"

namespace fanfare::broker {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kLimit = 3;

// Workers that come, run, fail, hand back, die and say hello again, and brokers that are replaced,
// as chance has it; what the workers really have is counted here.
class Crowd {
 public:
  explicit Crowd(std::uint32_t seed, CoreOptions options = {})
      : random_(seed),
        world_({{"f",
                 "max_concurrency = 3\n[[on]]\npattern = '{\"type\":[\"t\"]}'\n"
                 "[retry]\nmax_attempts = 3\nbase = \"10ms\"\ncap = \"50ms\"\n"}},
               options) {
    for (const char* name : {"w1", "w2", "w3"}) join(name);
  }

  void step() {
    const std::string worker = "w" + std::to_string(1 + below(3));
    const std::size_t dice = below(100);
    if (dice < 25) {
      world_.publish(std::vector<protocol::PublishOptions>(1 + below(4)));
    } else if (dice < 30) {
      protocol::Event event;
      event.source = event.type = "call";
      world_.feed("caller", protocol::Invoke{++request_, "f", 60'000, protocol::pack(event)});
    } else if (dice < 75) {
      end_one(worker);
    } else if (dice < 80) {
      die(worker);
    } else if (dice < 83) {
      replace_broker();
    } else if (dice < 93) {
      join(worker);
    } else {
      world_.pass(20ms);
    }
    collect();
  }

  void check() {
    std::size_t held = 0;
    for (const auto& [worker, deliveries] : held_) held += deliveries.size();
    most_ = std::max(most_, held);
    ASSERT_LE(held, kLimit);
    const FunctionState& function = world_.function();
    // What it has not heard of yet it cannot count; then it lends nothing.
    if (!here_.contains("w1") || !here_.contains("w2") || !here_.contains("w3")) return;
    ASSERT_EQ(function.running(), held);
    if (held < kLimit) {
      ASSERT_EQ(function.lendable(), function.suspects.size()) << "one could run";
    }
  }
  std::size_t most() const { return most_; }

 private:
  std::size_t below(std::size_t n) { return random_() % n; }

  void join(const std::string& worker) {
    if (here_.contains(worker)) return;
    std::vector<protocol::HeldDelivery> named;
    for (const auto& one : held_[worker]) named.push_back(CoreWorld::held(one));
    world_.join(worker, named);
    here_.insert(worker);
  }
  void end_one(const std::string& worker) {
    auto& held = held_[worker];
    if (held.empty() || !here_.contains(worker)) return;
    const std::size_t at = below(held.size());
    const protocol::Delivery delivery = held[at];
    held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
    const std::size_t dice = below(10);
    if (dice < 6) {
      world_.succeed(delivery, worker);
    } else if (dice < 9) {
      world_.fail(delivery, worker, dice != 8);
    } else {
      world_.hand_back(delivery, worker);
      world_.pass(100ms);  // such a worker rests for a while
    }
  }
  void die(const std::string& worker) {
    if (!here_.contains(worker)) return;
    held_[worker].clear();
    here_.erase(worker);
    world_.die(worker);
    join(worker);
  }
  void replace_broker() {
    here_.clear();
    world_.start_broker();
  }
  void collect() {
    for (auto& [worker, held] : held_) {
      for (auto& delivery : world_.delivered(worker)) held.push_back(std::move(delivery));
    }
  }

  std::mt19937 random_;
  CoreWorld world_;
  std::map<std::string, std::vector<protocol::Delivery>> held_;
  std::set<std::string> here_;
  std::uint64_t request_ = 0;
  std::size_t most_ = 0;
};

TEST(Concurrency, IsNeverExceededAndAlwaysUsedUp) {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    Crowd crowd(seed);
    for (int step = 0; step < 600; ++step) {
      crowd.step();
      crowd.check();
      if (::testing::Test::HasFatalFailure()) {
        FAIL() << "seed " << seed << ", step " << step;
      }
    }
    EXPECT_EQ(crowd.most(), kLimit);
  }
}

}  // namespace
}  // namespace fanfare::broker
