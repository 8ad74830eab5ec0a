// What is published to topics reaches those who subscribe, from the answer to their subscription
// on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/core_harness.h"
#include "broker/core_world.h"
#include "protocol/notification_attributes.h"
#include "store/encode.h"

namespace fanfare::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string notification(const std::string& topic, const std::string& data = "{}",
                         const std::string& attributes = {}) {
  protocol::Event event;
  event.type = protocol::kNotificationType;
  event.source = protocol::source_of_topic(topic);
  event.data = data;
  if (!attributes.empty())
    event.extensions.emplace_back(protocol::kNotificationAttributes, attributes);
  return protocol::pack(event);
}

CoreHarness::Functions two() {
  return {{"bill", ""}, {"mail", ""}};
}

// The functions that got each of the events.
std::vector<std::string> route_of(CoreHarness& h, std::uint64_t sequence, std::string event) {
  h.publish(sequence, {std::move(event)});
  h.answer_all();
  return h.answers().at(0).routes.at(0);
}

TEST(Topics, ReachTheirSubscribersAndNobodyElse) {
  CoreHarness h(two());
  EXPECT_THAT(route_of(h, 1, notification("orders")), ElementsAre());
  h.ask("add_topic", R"({"name":"orders"})");
  h.ask("subscribe", R"({"name":"orders","function":"mail"})");
  h.ask("subscribe", R"({"name":"orders","function":"bill","filter":{"store":["berlin"]}})");
  EXPECT_THAT(route_of(h, 2, notification("orders")), ElementsAre("mail"));
  EXPECT_THAT(route_of(h, 3, notification("orders", "x", R"({"store":"berlin"})")),
              ElementsAre("bill", "mail"));
  EXPECT_THAT(route_of(h, 4, notification("others", "x", R"({"store":"berlin"})")), ElementsAre());
  h.ask("unsubscribe", R"({"name":"orders","function":"mail"})");
  EXPECT_THAT(route_of(h, 5, notification("orders")), ElementsAre());
}

TEST(Topics, AreSubscribedToThroughADeployment) {
  CoreHarness h(two());
  h.ask("add_topic", R"({"name":"orders"})");
  h.ask("subscribe", R"({"name":"orders","function":"mail"})");
  h.ask("deploy",
        nlohmann::json{
            {"name", "mail"}, {"manifest", "weight = 2\n"}, {"digest", std::string(64, 'e')}}
            .dump());
  EXPECT_THAT(route_of(h, 1, notification("orders")), ElementsAre("mail"));
  const auto refused = h.ask("remove", R"({"name":"mail"})");
  EXPECT_THAT(refused["message"], HasSubstr("fanfare topic unsubscribe orders mail"));
  h.ask("unsubscribe", R"({"name":"orders","function":"mail"})");
  EXPECT_EQ(h.ask("remove", R"({"name":"mail"})")["existed"], true);
}

TEST(Topics, ReachSubscribersFromTheirDeploymentOn) {
  CoreHarness h(two());
  const auto declared = h.ask("declare_topics", R"({"topics":{"orders":{"subscriptions":[
      {"function":"later"},{"function":"mail"}]}}})");
  EXPECT_EQ(declared["not_deployed"], nlohmann::json{"later"});
  EXPECT_EQ(h.ask("subscribe", R"({"name":"orders","function":"never"})")["deployed"], false);
  EXPECT_EQ(h.ask("subscribe", R"({"name":"orders","function":"bill"})")["deployed"], true);
  EXPECT_THAT(route_of(h, 1, notification("orders")), ElementsAre("bill", "mail"));
  h.ask(
      "deploy",
      nlohmann::json{{"name", "later"}, {"manifest", ""}, {"digest", std::string(64, 'e')}}.dump());
  EXPECT_THAT(route_of(h, 2, notification("orders")), ElementsAre("bill", "later", "mail"));
}

TEST(Topics, CountFromRedisAnswerOnAndOneAfterTheOther) {
  CoreHarness h(two());
  h.ask("add_topic", R"({"name":"orders"})");
  h.admin("subscribe", R"({"name":"orders","function":"mail"})");
  h.admin("subscribe", R"({"name":"orders","function":"bill"})");
  h.admin("subscribe", R"({"name":"nobody","function":"bill"})");
  EXPECT_EQ(h.waiting_calls<store::SetTopics>(), 1u) << "the second is made of what the first left";
  EXPECT_EQ(h.admin_answer(), nullptr);
  const auto [first, first_call] = h.take_call<store::SetTopics>();
  EXPECT_EQ(first_call.items.at(0).definition.find("bill"), std::string::npos);
  h.answer(first, retry_later("Redis is loading"));
  EXPECT_EQ(h.admin_answer()["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
  const auto [second, second_call] = h.take_call<store::SetTopics>();
  EXPECT_EQ(second_call.items.at(0).definition.find("mail"), std::string::npos)
      << "Redis has not got that";
  h.answer(second, store::TopicsSet{});
  EXPECT_THAT(h.admin_answer()["message"], ::testing::StartsWith("no topic")) << "the third";
  EXPECT_EQ(h.admin_answer()["outcome"], "subscribed");
  EXPECT_THAT(route_of(h, 1, notification("orders")), ElementsAre("bill"));
}

TEST(Topics, OfUnknownOutcomeAreReadAnewAndNobodyIsTold) {
  CoreHarness h(two());
  h.ask("add_topic", R"({"name":"orders"})");
  h.admin("subscribe", R"({"name":"orders","function":"mail"})");
  h.admin("subscribe", R"({"name":"orders","function":"bill"})");
  const auto [ticket, call] = h.take_call<store::SetTopics>();
  h.answer(ticket, reconnect("the connection is gone"));
  EXPECT_EQ(h.admin_answer(), nullptr);
  EXPECT_EQ(h.waiting_calls<store::SetTopics>(), 0u) << "nothing is made of what may be otherwise";
  ASSERT_TRUE(h.core.ended());
  EXPECT_EQ(h.core.ended()->kind, ErrorKind::kReconnect);
}

TEST(Topics, DoNotGetASubscriberThatIsGone) {
  CoreHarness h(two());
  const auto refused = [&] { return h.admin_answer()["refused"]; };
  const auto unavailable = static_cast<int>(protocol::Refusal::kUnavailable);
  h.ask("add_topic", R"({"name":"orders"})");
  h.admin("subscribe", R"({"name":"orders","function":"mail"})");
  h.admin("remove", R"({"name":"mail"})");
  EXPECT_EQ(refused(), unavailable) << "it is about to subscribe";
  h.answer_all();
  EXPECT_EQ(h.admin_answer()["outcome"], "subscribed");
  EXPECT_THAT(h.ask("remove", R"({"name":"mail"})")["message"], HasSubstr("unsubscribe"));

  h.admin("remove", R"({"name":"bill"})");
  h.admin("subscribe", R"({"name":"orders","function":"bill"})");
  EXPECT_EQ(refused(), unavailable) << "it is about to go";
  h.answer_all();
  EXPECT_EQ(h.admin_answer()["existed"], true);
  EXPECT_EQ(h.ask("subscribe", R"({"name":"orders","function":"bill"})")["deployed"], false)
      << "it is gone, as who subscribes is told";
}

TEST(Topics, AreNotNestedSoDeepThatTheBrokerFalls) {
  CoreHarness h(two());
  h.ask("add_topic", R"({"name":"orders"})");
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  for (const char* verb : {"subscribe", "declare_topics", "topics", "status"}) {
    const auto refused =
        h.ask(verb, R"({"name":"orders","function":"mail","filter":{"a":)" + deep + "}}");
    EXPECT_EQ(refused["refused"], static_cast<int>(protocol::Refusal::kMalformed)) << verb;
    EXPECT_THAT(refused["message"], HasSubstr("deeper than 256 levels")) << verb;
  }
  EXPECT_EQ(h.ask("add_topic", R"({"name":"others"})")["outcome"], "added") << "it lives";
}

TEST(Topics, HaveChangesWaitOnlyUpToSomeBytes) {
  CoreHarness h(two());
  const std::string padding(6u << 20, 'x');
  const auto add = [&](const std::string& name) {
    h.admin("add_topic", R"({"name":")" + name + R"(","padding":")" + padding + "\"}");
  };
  for (const char* name : {"a", "b"}) add(name);
  EXPECT_EQ(h.admin_answer(), nullptr);
  add("c");
  EXPECT_THAT(h.admin_answer()["message"], HasSubstr("too many changes of topics wait"));
  EXPECT_EQ(h.core.counters().topics_refused_busy, 1u);
  h.answer_all();
  h.answer_all();
  EXPECT_EQ(h.admin_answer()["name"], "a");
  EXPECT_EQ(h.admin_answer()["name"], "b");
  EXPECT_EQ(h.ask("add_topic", R"({"name":"c"})")["outcome"], "added");
}

TEST(Topics, AreFullAtSomeNumber) {
  CoreHarness h(two());
  h.admin("add_topic", R"({"name":"orders"})");
  const auto [ticket, call] = h.take_call<store::SetTopics>();
  h.answer(ticket, store::TopicsSet{.full = true});
  EXPECT_THAT(h.admin_answer()["message"], HasSubstr("over 10000 topics"));
  EXPECT_EQ(h.core.counters().topics_refused_full, 1u);
  EXPECT_EQ(h.ask("topics", "")["topics"].size(), 0u);
}

TEST(Topics, TakeNoMoreThanThereIsRoomFor) {
  CoreHarness h(two());
  nlohmann::json file;
  for (std::size_t i = 0; i <= kSubscriptionsMax; ++i) {
    file["topics"]["t"]["subscriptions"].push_back({{"function", "f" + std::to_string(i)}});
  }
  const auto refused = h.ask("declare_topics", file.dump());
  EXPECT_EQ(refused["refused"], static_cast<int>(protocol::Refusal::kTooLarge));
  EXPECT_THAT(refused["message"], HasSubstr("over 256 subscriptions"));
  EXPECT_EQ(h.core.counters().topics_refused_full, 1u);
  EXPECT_EQ(h.ask("topics", "")["topics"].size(), 0u) << "all or nothing";
}

TEST(Topics, OfAFileComeAndGoTogether) {
  CoreHarness h(two());
  EXPECT_EQ(h.ask("declare_topics",
                  R"({"topics":{"a":{"subscriptions":[{"function":"mail"}]},"b":{}}})")["changed"],
            2);
  EXPECT_THAT(route_of(h, 1, notification("a")), ElementsAre("mail"));
  EXPECT_EQ(h.ask("topics", R"({"name":"b"})")["topics"][0]["file"], true);
  EXPECT_EQ(h.ask("declare_topics", R"({"topics":{}})")["changed"], 2);
  EXPECT_THAT(route_of(h, 2, notification("a")), ElementsAre());
}

TEST(Topics, OfBothSidesGetWhatEitherWantsOnceAndOutliveTheBroker) {
  CoreWorld world(CoreWorld::Functions{{"mail", ""}});
  std::uint64_t request = 0;
  const auto ask = [&](const std::string& verb, const std::string& body) {
    world.feed("operator", protocol::Admin{++request, verb, body});
    return world.take<protocol::AdminReply>("operator").at(0).data;
  };
  std::uint64_t sequence = 0;
  // What mail gets of: an event that only the file's policy wants, only the operators', both.
  const auto gets = [&] {
    world.feed("publisher",
               protocol::Publish{"publisher",
                                 ++sequence,
                                 false,
                                 {notification("orders", "x", R"({"file":"y"})"),
                                  notification("orders", "x", R"({"mine":"y"})"),
                                  notification("orders", "x", R"({"file":"y","mine":"y"})")}});
    std::string got;
    const auto published = world.take<protocol::Published>("publisher").at(0);
    for (const auto& run : published.runs) {
      for (std::uint32_t i = 0; i < run.count; ++i) {
        got += std::to_string(published.routes.at(run.detail).size());
      }
    }
    return got;
  };
  const std::string file =
      R"({"topics":{"orders":{"subscriptions":[{"function":"mail","filter":{"file":["y"]}}]}}})";
  const std::string mine = R"({"name":"orders","function":"mail","filter":{"mine":["y"]}})";
  ask("declare_topics", file);
  EXPECT_EQ(gets(), "101");
  EXPECT_THAT(ask("subscribe", mine), HasSubstr(R"("outcome":"subscribed","file":true)"));
  EXPECT_EQ(gets(), "111") << "an event that both want comes once";
  world.start_broker();
  EXPECT_EQ(gets(), "111");
  EXPECT_THAT(ask("unsubscribe", mine), HasSubstr(R"("outcome":"unsubscribed","file":true)"));
  EXPECT_EQ(gets(), "101");
  ask("subscribe", mine);
  ask("declare_topics", R"({"topics":{}})");
  EXPECT_EQ(gets(), "011");
  world.start_broker();
  EXPECT_EQ(gets(), "011");
}

TEST(Topics, OutliveTheBroker) {
  CoreWorld world({{"mail", ""}, {"bill", ""}});
  std::uint64_t request = 0;
  const auto ask = [&](const std::string& verb, const std::string& body) {
    world.feed("operator", protocol::Admin{++request, verb, body});
  };
  ask("add_topic", R"({"name":"orders"})");
  ask("subscribe", R"({"name":"orders","function":"mail","filter":{"a":["b"]}})");
  ask("subscribe", R"({"name":"orders","function":"bill"})");
  world.start_broker();
  ask("topics", "{}");
  const auto replies = world.take<protocol::AdminReply>("operator");
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_THAT(replies[0].data, HasSubstr(R"("filter":{"a":["b"]})"));
  world.feed("publisher", protocol::Publish{"publisher",
                                            1,
                                            false,
                                            {notification("orders"),
                                             notification("orders", "x", R"({"a":"b"})")}});
  const auto published = world.take<protocol::Published>("publisher");
  ASSERT_EQ(published.size(), 1u);
  EXPECT_THAT(published[0].routes, ElementsAre(ElementsAre("bill"), ElementsAre("bill", "mail")));
}

// A file with `size` topics, with policies of so many bytes and some; `number` tells versions of
// the file apart.
std::string large_file(std::size_t size, int number, std::size_t length = 10) {
  nlohmann::json topics = nlohmann::json::object();
  for (std::size_t i = 0; i < size; ++i) {
    topics["t" + std::to_string(i)]["subscriptions"] = {
        {{"function", i % 2 == 0 ? "mail" : "bill"},
         {"filter", {{"a", {std::string(length, 'x') + std::to_string(number)}}}}}};
  }
  return nlohmann::json{{"topics", topics}}.dump();
}

// Broker and gateway while a file is declared: the broker may die at any of its calls.
class Declaring {
 public:
  Declaring() = default;
  explicit Declaring(const store::ModelStore& redis) {
    world_.redis = redis;
    restart();
  }
  const store::ModelStore& redis() const { return world_.redis; }

  std::size_t declare(const std::string& file, std::size_t calls_max = SIZE_MAX) {
    Core& core = *world_.core;
    core.on_frame("gateway", protocol::encode(protocol::Admin{++request_, "declare_topics", file}),
                  world_.now);
    std::size_t calls = 0;
    for (bool busy = true; busy;) {
      core.flush(world_.now);
      auto waiting = core.take_calls();
      busy = !waiting.empty();
      for (auto& [ticket, call] : waiting) {
        const auto* set = std::get_if<store::SetTopics>(&call);
        if (!set) {
          core.on_answer(ticket, world_.redis.call(call), world_.now);
          continue;
        }
        EXPECT_TRUE(store::check(call)) << "portions are as large as calls may be";
        EXPECT_EQ(waiting.size(), 1u) << "one portion after the other";
        if (calls == calls_max) return calls;  // before Redis has it
        auto answer = world_.redis.call(call);
        if (++calls == calls_max && drop_last_answer) return calls;  // Redis has it, unheard
        core.on_answer(ticket, std::move(answer), world_.now);
      }
    }
    return calls;
  }
  void restart() { world_.start_broker(); }
  std::string all() {
    world_.feed("operator", protocol::Admin{++request_, "topics", ""});
    return world_.take<protocol::AdminReply>("operator").at(0).data;
  }

  bool drop_last_answer = false;

 private:
  CoreWorld world_{CoreWorld::Functions{{"mail", ""}, {"bill", ""}}};
  std::uint64_t request_ = 0;
};

TEST(Topics, OfALargeFileAreCompleteAfterADeathBetweenPortions) {
  const std::string old_file = large_file(100, 1), new_file = large_file(300, 2);
  Declaring undisturbed;
  undisturbed.declare(old_file);
  const std::string old_topics = undisturbed.all();
  const store::ModelStore before = undisturbed.redis();
  const std::size_t portions = undisturbed.declare(new_file);
  ASSERT_GT(portions, 1u);
  const std::string wanted = undisturbed.all();
  EXPECT_EQ(undisturbed.declare(new_file), 0u);
  EXPECT_EQ(undisturbed.declare(R"({"topics":{}})"), 2u) << "300 topics go";

  bool some_in_between = false;
  for (std::size_t dies_at = 0; dies_at <= portions; ++dies_at) {
    for (const bool heard : {true, false}) {
      Declaring declaring(before);
      declaring.drop_last_answer = !heard;
      declaring.declare(new_file, dies_at);
      declaring.restart();
      const std::string left = declaring.all();
      some_in_between = some_in_between || (left != old_topics && left != wanted);
      EXPECT_EQ(declaring.declare(new_file), portions - dies_at) << "only what is missing";
      EXPECT_EQ(declaring.all(), wanted);
      declaring.restart();
      EXPECT_EQ(declaring.all(), wanted) << "and Redis has it";
    }
  }
  EXPECT_TRUE(some_in_between) << "else nothing was tried";
}

TEST(Topics, OfAFileRemainAsFarAsRedisTookThem) {
  CoreHarness h(two());
  h.admin("declare_topics", large_file(24, 1, 15'000));
  const auto [first, first_call] = h.take_call<store::SetTopics>();
  h.answer(first, store::TopicsSet{});
  const auto [second, second_call] = h.take_call<store::SetTopics>();
  EXPECT_EQ(h.waiting_calls<store::SetTopics>(), 0u);
  h.answer(second, retry_later("Redis has no memory"));
  EXPECT_EQ(h.admin_answer()["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
  EXPECT_EQ(h.ask("topics", "")["topics"].size(), first_call.items.size());
  EXPECT_EQ(h.ask("declare_topics", large_file(24, 1, 15'000))["changed"],
            24 - first_call.items.size());
  EXPECT_EQ(h.ask("topics", "")["topics"].size(), 24u);
}

// Nobody is told that an event has no subscribers before they are known.
TEST(Topics, AreKnownBeforeTheFirstEventIsTaken) {
  CoreHarness h;  // for its clock
  Core starting({}, h.now);
  const auto calls_of = [&] {
    starting.flush(h.now);
    return starting.take_calls();
  };
  starting.on_answer(calls_of().at(0).ticket, store::Answer{store::Begun{1, {}}}, h.now);
  std::optional<Ticket> topics;
  for (const auto& call : calls_of()) {
    if (std::holds_alternative<store::ListTopics>(call.call)) topics = call.ticket;
    if (std::holds_alternative<store::ListWorkers>(call.call)) {
      starting.on_answer(call.ticket, store::Answer{store::WorkerList{}}, h.now);
    }
    if (std::holds_alternative<store::ListFunctions>(call.call)) {
      starting.on_answer(call.ticket, store::Answer{store::FunctionList{}}, h.now);
    }
  }
  EXPECT_FALSE(starting.accepting());
  ASSERT_TRUE(topics);
  starting.on_answer(*topics, store::Answer{store::TopicList{{}, "7"}}, h.now);
  EXPECT_FALSE(starting.accepting()) << "there are more";
  const auto more = calls_of();
  ASSERT_EQ(more.size(), 1u);
  EXPECT_EQ(std::get<store::ListTopics>(more[0].call).cursor, "7");
  starting.on_answer(more[0].ticket, retry_later("loading"), h.now);
  EXPECT_FALSE(starting.accepting());
  h.now.steady += std::chrono::seconds{30};
  starting.tick(h.now);
  for (const auto& call : calls_of()) {
    if (!std::holds_alternative<store::ListTopics>(call.call)) continue;
    starting.on_answer(call.ticket, store::Answer{store::TopicList{}}, h.now);
  }
  EXPECT_TRUE(starting.accepting());
}

}  // namespace
}  // namespace fanfare::broker
