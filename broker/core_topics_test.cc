// What is published to topics reaches those who subscribe, from the answer to their subscription
// on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/core_harness.h"
#include "broker/core_world.h"
#include "protocol/notification_attributes.h"

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

TEST(Topics, CountFromRedisAnswerOnAndOneAfterTheOther) {
  CoreHarness h(two());
  h.ask("add_topic", R"({"name":"orders"})");
  h.admin("subscribe", R"({"name":"orders","function":"mail"})");
  h.admin("subscribe", R"({"name":"orders","function":"bill"})");
  h.admin("subscribe", R"({"name":"nobody","function":"bill"})");
  EXPECT_EQ(h.waiting_calls<store::SetTopic>(), 1u) << "the second is made of what the first left";
  EXPECT_EQ(h.admin_answer(), nullptr);
  const auto [first, first_call] = h.take_call<store::SetTopic>();
  EXPECT_EQ(first_call.definition.find("bill"), std::string::npos);
  h.answer(first, retry_later("Redis is loading"));
  EXPECT_EQ(h.admin_answer()["refused"], static_cast<int>(protocol::Refusal::kUnavailable));
  const auto [second, second_call] = h.take_call<store::SetTopic>();
  EXPECT_EQ(second_call.definition.find("mail"), std::string::npos) << "Redis has not got that";
  h.answer(second, store::TopicSet{.existed = true});
  EXPECT_THAT(h.admin_answer()["message"], ::testing::StartsWith("no topic")) << "the third";
  EXPECT_EQ(h.admin_answer()["outcome"], "subscribed");
  EXPECT_THAT(route_of(h, 1, notification("orders")), ElementsAre("bill"));
}

TEST(Topics, OfUnknownOutcomeAreReadAnewAndNobodyIsTold) {
  CoreHarness h(two());
  h.ask("add_topic", R"({"name":"orders"})");
  h.admin("subscribe", R"({"name":"orders","function":"mail"})");
  h.admin("subscribe", R"({"name":"orders","function":"bill"})");
  const auto [ticket, call] = h.take_call<store::SetTopic>();
  h.answer(ticket, reconnect("the connection is gone"));
  EXPECT_EQ(h.admin_answer(), nullptr);
  EXPECT_EQ(h.waiting_calls<store::SetTopic>(), 0u) << "nothing is made of what may be otherwise";
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
  EXPECT_THAT(h.ask("subscribe", R"({"name":"orders","function":"bill"})")["message"],
              HasSubstr("deploy it first"));
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
  h.answer_all();
  h.answer_all();
  EXPECT_EQ(h.admin_answer()["name"], "a");
  EXPECT_EQ(h.admin_answer()["name"], "b");
  EXPECT_EQ(h.ask("add_topic", R"({"name":"c"})")["outcome"], "added");
}

TEST(Topics, AreFullAtSomeNumber) {
  CoreHarness h(two());
  h.admin("add_topic", R"({"name":"orders"})");
  const auto [ticket, call] = h.take_call<store::SetTopic>();
  h.answer(ticket, store::TopicSet{.full = true});
  EXPECT_THAT(h.admin_answer()["message"], HasSubstr("there are 10000 topics"));
  EXPECT_EQ(h.ask("topics", "")["topics"].size(), 0u);
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
