// A chain of two functions through real processes: nap's successes are told to introspect, whose
// results name the event that each of them was about.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <map>
#include <nlohmann/json.hpp>

#include "base/redis_sync.h"
#include "store/keys.h"
#include "store/row.h"
#include "tests/integration/audit.h"
#include "tests/integration/installation.h"
#include "tests/support/results.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;

class Chain {
 public:
  explicit Chain(const std::string& more_manifest = "on_success = \"introspect\"\n") {
    installation.deploy("functions-testing/introspect");
    installation.deploy("functions-testing/nap", more_manifest);
  }

  std::vector<protocol::EventId> publish(std::size_t count, const std::string& type = "nap") {
    protocol::Event event;
    event.source = "/tests";
    event.type = type;
    std::vector<std::future<Result<client::Receipt>>> futures;
    for (std::size_t i = 0; i < count; ++i) {
      futures.push_back(installation.client().publish(event));
    }
    std::vector<protocol::EventId> ids;
    for (auto& future : futures) {
      const auto receipt = future.get();
      if (receipt) ids.push_back(receipt->id);
    }
    return ids;
  }

  std::int64_t count(const std::string& function, const std::string& name) {
    return audit(installation.redis().options(), function, {}).counts[name];
  }
  void wait_for(std::int64_t succeeded) {
    EXPECT_TRUE(eventually([&] { return count("nap", "succeeded") >= succeeded; }, 30s))
        << installation.logs();
  }
  std::size_t outbox() {
    return std::stoul(installation.redis().command({"XLEN", store::outbox_key("nap")}));
  }
  // Everything has ended, and nothing waits to be told.
  void come_to_rest() {
    const auto redis = installation.redis().options();
    EXPECT_TRUE(eventually(
        [&] { return all_ended(redis, "nap") && outbox() == 0 && all_ended(redis, "introspect"); },
        60s))
        << status() << installation.logs();
  }

  std::string status() {
    const auto answer = installation.client().admin("status", "{}");
    return answer ? *answer + "\n" : answer.error().message;
  }

  // How often each event was told of, by its id: from the results of introspect.
  std::map<std::string, int> told() {
    std::map<std::string, int> times;
    auto redis = RedisSync::connect(installation.redis().options());
    if (!redis) throw std::runtime_error(redis.error().message);
    const auto keys = redis->call({"KEYS", "fanfare:{introspect}:results:*"});
    for (std::size_t k = 0; k < (*keys)->size(); ++k) {
      const std::string key{(**keys)[k].text()};
      if (std::ranges::count(key, ':') > 3) continue;  // lies beside another
      for (const auto& [index, result] : read_results(*redis, key)) {
        const auto stored = store::view_stored_result(result);
        const auto record = protocol::unpack_result(stored->record);
        ++times[nlohmann::json::parse(record->output)["subject"].get<std::string>()];
      }
    }
    return times;
  }

  // Of these events: how many were told of once.
  std::size_t told_once(const std::vector<protocol::EventId>& ids) {
    auto times = told();
    return static_cast<std::size_t>(std::ranges::count_if(
        ids, [&](const auto& id) { return times[protocol::to_string(id)] == 1; }));
  }

  Installation installation;
};

TEST(Destination, IsToldOnceOfEachOf2000EventsWhateverIsKilled) {
  Chain chain;
  Installation& installation = chain.installation;
  const auto ids = chain.publish(2000);
  ASSERT_EQ(ids.size(), 2000u);
  chain.wait_for(300);
  installation.worker().kill_hard();
  installation.start_worker();
  chain.wait_for(700);
  installation.broker().kill_hard();
  installation.start_broker();
  chain.wait_for(1100);
  installation.redis().kill_hard();
  installation.redis().start();
  chain.wait_for(1500);
  installation.broker().kill_hard();
  installation.worker().kill_hard();
  installation.start_broker();
  installation.start_worker();
  chain.come_to_rest();

  EXPECT_EQ(chain.count("nap", "succeeded"), 2000);
  EXPECT_EQ(chain.count("introspect", "accepted"), 2000);
  EXPECT_EQ(chain.count("introspect", "succeeded"), 2000);
  EXPECT_EQ(chain.told_once(ids), 2000u);
}

// The test above would see an entry that was lost, and one that was there twice.
TEST(DestinationControl, AnOutboxThatSomebodyChangesIsNoticed) {
  Chain chain;
  Installation& installation = chain.installation;
  const auto ids = chain.publish(400);
  ASSERT_EQ(ids.size(), 400u);
  installation.broker().kill_hard();
  // The worker goes on with what it has, and nobody empties the outbox.
  ASSERT_TRUE(eventually([&] { return chain.outbox() >= 3; }, 20s)) << installation.logs();
  auto redis = RedisSync::connect(installation.redis().options());
  ASSERT_TRUE(redis);
  const auto first = redis->call({"XRANGE", store::outbox_key("nap"), "-", "+", "COUNT", "2"});
  const std::string lost{(**first)[0][0].text()};
  const RedisReply fields = (**first)[1][1];
  ASSERT_TRUE(redis->call({"XDEL", store::outbox_key("nap"), lost}));
  ASSERT_TRUE(redis->call({"XADD", store::outbox_key("nap"), "*", fields[0].text(),
                           fields[1].text(), fields[2].text(), fields[3].text()}));
  installation.start_broker();
  chain.come_to_rest();
  EXPECT_EQ(chain.told_once(ids), 398u) << "one was lost, one doubled";
}

TEST(Destination, OfATypeIsToldOfFailuresWithTheWholeRecord) {
  Chain chain;
  Installation& installation = chain.installation;
  installation.deploy("functions-testing/flaky",
                      "on_failure = \"flaky.failed\"\non_success = \"nobody\"\n");
  installation.deploy("functions-testing/sleepy");  // another one that does not ask for it
  installation.deploy("functions-testing/introspect",
                      "[[on]]\npattern = '{\"type\": [\"flaky.failed\"]}'\n");
  const auto failed = installation.publish("flaky", "never");
  const auto redis = installation.redis().options();
  ASSERT_TRUE(eventually([&] { return chain.told().contains(protocol::to_string(failed)); }))
      << installation.logs();
  EXPECT_EQ(chain.count("sleepy", "accepted"), 0);

  // A destination that is not there: a dead letter of its name.
  const auto good = installation.publish("flaky", "1");
  ASSERT_TRUE(eventually([&] { return audit(redis, "nobody", {}).letters == 1; }))
      << installation.logs();
  const auto letter = installation.redis().command({"XLEN", store::dead_key("nobody")});
  EXPECT_EQ(letter, "1");
  EXPECT_EQ(audit(redis, "flaky", {good}).violations.size(), 0u);
}

// ---- what handlers publish ----

TEST(Publish, OfAHandlerReachesWhoAsksForItOnceAndItsCauseIsKnown) {
  Chain chain;
  Installation& installation = chain.installation;
  installation.deploy("functions-testing/publishes");
  installation.deploy("functions-testing/introspect",
                      "[[on]]\npattern = '{\"type\": [\"made\"]}'\n");
  const auto id = installation.publish("publishes", "3");
  ASSERT_TRUE(eventually([&] { return chain.told()[protocol::to_string(id)] == 3; }))
      << installation.logs();
  installation.publish("publishes", "fail");
  const auto redis = installation.redis().options();
  ASSERT_TRUE(eventually([&] { return audit(redis, "publishes", {}).letters == 1; }));
  EXPECT_EQ(chain.count("introspect", "accepted"), 3);
}

TEST(Publish, OfASynchronousInvocationIsThereBeforeItsAnswer) {
  Chain chain;
  Installation& installation = chain.installation;
  installation.deploy("functions-testing/publishes");
  installation.deploy("functions-testing/introspect",
                      "[[on]]\npattern = '{\"type\": [\"made\"]}'\n");
  protocol::Event event;
  event.source = "/tests";
  event.type = "function.invoked";
  event.data = "2";
  const auto invoked = installation.client().invoke("publishes", event, 10s);
  ASSERT_TRUE(invoked) << invoked.error().message;
  EXPECT_EQ(invoked->output, "published");
  EXPECT_TRUE(eventually([&] { return chain.count("introspect", "succeeded") == 2; }))
      << installation.logs();
}

TEST(Publish, InACircleEndsAfter16GenerationsInTheDeadLetters) {
  Chain chain;
  Installation& installation = chain.installation;
  installation.deploy("functions-testing/publishes");
  installation.publish("publishes", "again");
  const auto redis = installation.redis().options();
  ASSERT_TRUE(eventually([&] { return audit(redis, "publishes", {}).letters == 1; }))
      << installation.logs();
  EXPECT_EQ(chain.count("publishes", "succeeded"), 17) << "the first, and 16 that it led to";
  EXPECT_EQ(chain.count("publishes", "accepted"), 18);
  auto connection = RedisSync::connect(redis);
  const auto letters = connection->call({"XRANGE", store::dead_key("publishes"), "-", "+"});
  EXPECT_EQ((**letters)[0][1][5].text(), std::to_string(int(protocol::DeadReason::kRecursion)));
}

}  // namespace
}  // namespace fanfare::test
