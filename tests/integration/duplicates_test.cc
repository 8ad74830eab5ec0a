// Many publishers send the same things, while the broker is killed.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// The event that every publisher sends under this number: known by an id or by a key.
protocol::Event numbered(std::size_t number, bool by_key) {
  protocol::Event event;
  event.source = "/tests";
  event.type = "noop";
  event.content_type = "text/plain";
  event.data = fmt::format("order {}", number);
  if (by_key) {
    event.options.idempotency_key = fmt::format("key {}", number);
  } else {
    event.id = fmt::format("id {}", number);
  }
  return event;
}

// What the publishers were told, number by number.
class Storm {
 public:
  struct Size {
    std::size_t publishers, events;
    bool keys;  // every other event has a key instead of an id
  };
  Storm(const Installation& installation, Size size)
      : size_(size), endpoint_(installation.endpoint()), told_(size.publishers) {
    for (std::size_t p = 0; p < size_.publishers; ++p) threads_.emplace_back([this, p] { run(p); });
  }
  ~Storm() {
    for (auto& thread : threads_) thread.join();
  }

  std::size_t answered() const { return answered_; }
  // The ids under which each event is known, and how often somebody was told that he was first.
  // Call when all publishers have ended.
  struct Known {
    std::set<protocol::EventId> ids;
    std::size_t firsts = 0;
  };
  std::vector<Known> known() {
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    std::vector<Known> all(size_.events);
    for (const auto& told : told_) {
      for (std::size_t n = 0; n < told.size(); ++n) {
        EXPECT_TRUE(told[n]) << told[n].error().message;
        if (!told[n]) continue;
        all[n].ids.insert(told[n]->id);
        if (!told[n]->duplicate) ++all[n].firsts;
      }
    }
    return all;
  }

 private:
  void run(std::size_t p) {
    auto client = client::BlockingClient::open({.broker = endpoint_});
    if (!client) std::abort();
    std::vector<std::future<Result<client::Receipt>>> futures(size_.events);
    // Each begins elsewhere, so that first ones come from everybody.
    for (std::size_t i = 0; i < size_.events; ++i) {
      const std::size_t n = (i + p * size_.events / size_.publishers) % size_.events;
      futures[n] = (*client)->publish(numbered(n, size_.keys && n % 2 == 0));
    }
    for (auto& future : futures) {
      told_[p].push_back(future.get());
      ++answered_;
    }
  }

  const Size size_;
  const std::string endpoint_;
  std::vector<std::vector<Result<client::Receipt>>> told_;  // by publisher
  std::atomic<std::size_t> answered_ = 0;
  std::vector<std::thread> threads_;
};

TEST(Duplicates, FiftyPublishersOfTheSameThousandEventsMakeAThousandWhileTheBrokerIsKilled) {
  constexpr std::size_t kEvents = 1000, kPublishers = 50;
  Installation installation;
  installation.deploy("builtin/noop");
  Storm storm(installation, {kPublishers, kEvents, true});
  ASSERT_TRUE(eventually([&] { return storm.answered() > kEvents * kPublishers / 10; }));
  installation.broker().kill_hard();
  const std::size_t answered = storm.answered();
  installation.start_broker();
  EXPECT_LT(answered, kEvents * kPublishers) << "the kill came too late to show anything";

  std::vector<protocol::EventId> ids;
  std::size_t told_first = 0;
  for (const auto& known : storm.known()) {
    ASSERT_EQ(known.ids.size(), 1u);
    ids.push_back(*known.ids.begin());
    EXPECT_LE(known.firsts, 1u);
    told_first += known.firsts;
  }
  EXPECT_EQ(told_first, kEvents);
  const auto redis = installation.redis().options();
  EXPECT_TRUE(eventually([&] { return all_ended(redis, "noop"); })) << installation.logs();
  auto counted = audit(redis, "noop", ids);
  EXPECT_THAT(counted.violations, IsEmpty());
  EXPECT_EQ(counted.results, kEvents);
  EXPECT_EQ(counted.counts["accepted"], static_cast<std::int64_t>(kEvents));

  auto other = numbered(0, true);
  other.data = "something else";
  const auto refused = installation.client().publish(other).get();
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("idempotency_key was given to another event"));
}

// The control: without a window each of them is an event of its own.
TEST(Duplicates, WithoutAWindowTheSameIdsMakeNewEvents) {
  Installation installation({.broker = {{"FANFARE_BROKER_DEDUP_WINDOW", "0s"}}, .redis = {}});
  installation.deploy("builtin/noop");
  Storm storm(installation, {5, 100, false});
  std::set<protocol::EventId> ids;
  for (const auto& known : storm.known()) ids.insert(known.ids.begin(), known.ids.end());
  EXPECT_EQ(ids.size(), 500u);
}

TEST(Duplicates, TheCommandSaysThatAnEventWasPublishedBeforeAndRefusesAReusedKey) {
  Installation installation;
  installation.deploy("builtin/noop");
  const auto publish = [&](const std::string& data) {
    const auto ran = cli::run_and_capture(
        {FANFARE_BIN_DIR "/fanfare", "--broker", installation.endpoint(), "--redis",
         "unix://" + installation.redis().socket_path(), "--json", "publish", "--type", "noop",
         "--idempotency-key", "k", "--data", data},
        20s);
    return ran ? *ran : cli::ChildOutput{-1, {}, ran.error().message};
  };
  const auto id_of = [](const std::string& json) { return json.substr(0, json.find(',')); };
  const auto first = publish("one");
  EXPECT_EQ(first.exit_code, cli::kDone) << first.output;
  const auto again = publish("one");
  EXPECT_EQ(again.exit_code, cli::kDone) << again.output;
  EXPECT_THAT(again.output, HasSubstr("\"duplicate\":true"));
  EXPECT_EQ(id_of(again.output), id_of(first.output));
  const auto other = publish("two");
  EXPECT_EQ(other.exit_code, cli::kRefused);
  EXPECT_THAT(other.output, HasSubstr("a new event needs a new key"));
}

}  // namespace
}  // namespace fanfare::test
