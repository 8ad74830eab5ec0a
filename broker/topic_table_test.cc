#include "broker/topic_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fanfare::broker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const TopicTable::IsDeployed kAll = [](const std::string& function) {
  return function != "missing";
};

// A table that makes each change at once.
struct Topics {
  std::string operator()(std::string_view verb, const std::string& body) {
    auto changes = table.changes(verb, body, kAll);
    if (!changes) return changes.error().message;
    if (const auto room = table.room_for(changes->puts); !room) return room.error().message;
    for (TopicPut& put : changes->puts) {
      changed.push_back(put.name);
      // As Redis has it, and a later broker reads it.
      if (put.topic) {
        const auto again = topic_from_json(to_json(*put.topic));
        EXPECT_TRUE(again && *again == *put.topic) << to_json(*put.topic);
      }
      table.put(std::move(put));
    }
    return changes->answer;
  }
  std::string all() const { return table.answer("", kAll); }
  std::vector<std::string> take_changed() { return std::exchange(changed, {}); }

  TopicTable table;
  std::vector<std::string> changed;
};

TEST(TopicTable, OperatorsAddSubscribeUnsubscribeAndRemove) {
  Topics topics;
  EXPECT_EQ(topics("add_topic", R"({"name":"orders"})"),
            R"({"name":"orders","outcome":"added","file":false})");
  EXPECT_THAT(topics("add_topic", R"({"name":"orders"})"), HasSubstr("unchanged"));
  EXPECT_THAT(topics("subscribe", R"({"name":"orders","function":"mail"})"),
              HasSubstr("subscribed"));
  const std::string filtered =
      R"({"name":"orders","function":"bill","filter":{"price":[{"numeric":[">",5]}]}})";
  EXPECT_THAT(topics("subscribe", filtered), HasSubstr("subscribed"));
  EXPECT_THAT(topics("subscribe", filtered), HasSubstr("unchanged"));
  EXPECT_EQ(
      topics.all(),
      R"({"topics":[{"name":"orders","file":false,"operator":true,"subscriptions":[)"
      R"({"function":"bill","filter":{"price":[{"numeric":[">",5]}]},"filter_scope":"attributes","file":false,"deployed":true},)"
      R"({"function":"mail","file":false,"deployed":true}]}]})");
  EXPECT_THAT(
      topics("subscribe",
             R"({"name":"orders","function":"mail","filter":"{\"a\":[1]}","filter_scope":"body"})"),
      HasSubstr("replaced"));
  EXPECT_THAT(topics.all(), HasSubstr(R"("filter":{"a":[1]},"filter_scope":"body")"));
  EXPECT_THAT(topics.table.topics_of("mail"), ElementsAre("orders"));
  EXPECT_THAT(topics("unsubscribe", R"({"name":"orders","function":"mail"})"),
              HasSubstr("unsubscribed"));
  EXPECT_THAT(topics("remove_topic", R"({"name":"orders"})"),
              HasSubstr(R"("outcome":"removed","subscriptions":1)"));
  EXPECT_EQ(topics.all(), R"({"topics":[]})");
}

// As clients do when an answer is lost.
TEST(TopicTable, IsAskedToUndoOnceMore) {
  Topics topics;
  topics("add_topic", R"({"name":"orders"})");
  topics("subscribe", R"({"name":"orders","function":"mail"})");
  const std::string mail = R"({"name":"orders","function":"mail"})";
  EXPECT_THAT(topics("unsubscribe", mail), HasSubstr("unsubscribed"));
  topics.take_changed();
  EXPECT_EQ(topics("unsubscribe", mail), R"({"name":"orders","outcome":"unchanged","file":false})");
  EXPECT_TRUE(topics.changed.empty());
  topics("remove_topic", R"({"name":"orders"})");
  topics.take_changed();
  EXPECT_EQ(topics("remove_topic", R"({"name":"orders"})"),
            R"({"name":"orders","outcome":"unchanged","subscriptions":0,"file":false})");
  EXPECT_EQ(topics("unsubscribe", mail), R"({"name":"orders","outcome":"unchanged","file":false})");
  EXPECT_TRUE(topics.changed.empty());
}

TEST(TopicTable, SaysWhatIsWrongAndWhatToDo) {
  Topics topics;
  topics("add_topic", R"({"name":"orders"})");
  topics.take_changed();
  EXPECT_THAT(topics("subscribe", R"({"name":"order","function":"mail"})"),
              HasSubstr("did you mean orders?"));
  EXPECT_THAT(topics("subscribe", R"({"name":"zebras","function":"mail"})"),
              HasSubstr("`fanfare topic add`"));
  EXPECT_THAT(topics("subscribe", R"({"name":"orders"})"), HasSubstr("is no function's name"));
  EXPECT_THAT(topics("subscribe", R"({"name":"orders","function":"f","filter":{"a":1}})"),
              HasSubstr("orders, f: filter policy field 'a'"));
  EXPECT_THAT(topics("subscribe", R"({"name":"orders","function":"f","filter":[1]})"),
              HasSubstr("not a JSON object"));
  EXPECT_THAT(
      topics("subscribe", R"({"name":"orders","function":"f","filter":{},"filter_scope":"x"})"),
      HasSubstr("\"attributes\" or \"body\""));
  const std::string deep = R"({"name":"orders","function":"f","filter":"{\"a\":)" +
                           std::string(200'000, '[') + std::string(200'000, ']') + "}\"}";
  EXPECT_THAT(topics("subscribe", deep), HasSubstr("nests deeper than 256"));
  EXPECT_THAT(topics("add_topic", R"({"name":"a b"})"), HasSubstr("1 to 64"));
  EXPECT_THAT(topics("add_topic", "[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(topics("declare_topics", "{}"), HasSubstr("needs the topics"));
  EXPECT_TRUE(topics.changed.empty());
}

TEST(TopicTable, TakesSubscribersThatAreNotDeployedAndSaysSo) {
  Topics topics;
  topics("add_topic", R"({"name":"orders"})");
  for (const char* outcome : {"subscribed", "unchanged"}) {
    EXPECT_EQ(topics("subscribe", R"({"name":"orders","function":"missing"})"),
              R"({"name":"orders","outcome":")" + std::string(outcome) +
                  R"(","file":false,"deployed":false})");
  }
  EXPECT_THAT(topics.all(), HasSubstr(R"({"function":"missing","file":false,"deployed":false})"));
}

// A file of topics with so many subscribers each, and policies so long.
std::string file_of(int topics, std::size_t subscribers, std::size_t policy_bytes) {
  nlohmann::json file;
  for (int t = 0; t < topics; ++t) {
    auto& list = file["topics"]["t" + std::to_string(t)]["subscriptions"];
    for (std::size_t s = 0; s < subscribers; ++s) {
      nlohmann::json one{{"function", "f" + std::to_string(s)}};
      if (policy_bytes > 0) one["filter"] = {{"a", {std::string(policy_bytes, 'x')}}};
      list.push_back(std::move(one));
    }
  }
  return file.dump();
}

TEST(TopicTable, HasRoomForSoManySubscribers) {
  Topics topics;
  topics("declare_topics", file_of(1, kSubscriptionsMax, 0));
  EXPECT_THAT(topics("subscribe", R"({"name":"t0","function":"another"})"),
              HasSubstr(R"({"source": ["/topics/t0"]})"));
  topics("add_topic", R"({"name":"policies"})");
  std::string said;
  for (int i = 0; i < 20 && said.find("KiB") == said.npos; ++i) {
    said = topics("subscribe", R"({"name":"policies","function":"f)" + std::to_string(i) +
                                   R"(","filter":{"a":[")" + std::string(15'000, 'x') + "\"]}}");
  }
  EXPECT_THAT(said, HasSubstr("over 128 KiB together"));
}

TEST(TopicTable, HasRoomForSoMuchInAll) {
  Topics topics;
  topics.table = TopicTable({.topics = 6, .subscriptions = 40, .bytes = 8192});
  EXPECT_THAT(topics("declare_topics", file_of(5, 10, 0)), HasSubstr("over 40 subscriptions"));
  EXPECT_THAT(topics("declare_topics", file_of(4, 9, 300)), HasSubstr("over 8KiB together"));
  EXPECT_THAT(topics("declare_topics", file_of(7, 1, 0)), HasSubstr("over 6 topics"));
  EXPECT_TRUE(topics.table.topics().empty()) << "all or nothing";

  EXPECT_THAT(topics("declare_topics", file_of(4, 10, 0)), HasSubstr(R"("changed":4)"));
  EXPECT_THAT(topics("add_topic", R"({"name":"more"})"), HasSubstr("added"));
  EXPECT_THAT(topics("subscribe", R"({"name":"more","function":"f"})"),
              HasSubstr("over 40 subscriptions"));
  topics("declare_topics", file_of(2, 10, 0));
  EXPECT_THAT(topics("subscribe", R"({"name":"more","function":"f"})"), HasSubstr("subscribed"));
  EXPECT_THAT(topics("declare_topics", file_of(5, 5, 150)), HasSubstr(R"("topics":5)"));
  EXPECT_THAT(topics("add_topic", R"({"name":"many"})"), HasSubstr("over 6 topics"));
  topics("declare_topics", file_of(5, 7, 0));
  EXPECT_GT(topics.all().size(), 1024u);
  EXPECT_LT(topics.all().size(), 2 * 8192u) << "a frame is twice what there may be";
}

// A version before this took more: what is there stays, and what makes it less is taken.
TEST(TopicTable, ThatIsFullerThanItMayBeOnlyShrinks) {
  Topics topics;
  topics.table = TopicTable({.topics = 2, .subscriptions = 10, .bytes = 100});
  for (int t = 0; t < 3; ++t) {
    Topic topic{.from_operator = true};
    for (int s = 0; s < 5; ++s) topic.subscriptions.push_back({"f" + std::to_string(s), ""});
    topics.table.put({"t" + std::to_string(t), topic});
  }
  EXPECT_THAT(topics("subscribe", R"({"name":"t1","function":"more"})"),
              HasSubstr("over 10 subscriptions"));
  EXPECT_THAT(topics("add_topic", R"({"name":"more"})"), HasSubstr("over 2 topics"));
  EXPECT_THAT(topics("unsubscribe", R"({"name":"t1","function":"f2"})"), HasSubstr("unsubscribed"));
  EXPECT_THAT(topics("subscribe", R"({"name":"t2","function":"f2","filter":{"a":["b"]}})"),
              HasSubstr("over 100"))
      << "larger";
}

TEST(TopicTable, TheFilesTopicsAreAsTheFileHasThem) {
  Topics topics;
  topics("add_topic", R"({"name":"mine"})");
  topics("add_topic", R"({"name":"both"})");
  topics("subscribe", R"({"name":"both","function":"bill"})");
  topics.take_changed();
  const std::string file =
      R"({"topics":{"both":{"subscriptions":[{"function":"mail","filter":{"a":["b"]}}]},)"
      R"("new":{"subscriptions":[{"function":"missing"}]}}})";
  EXPECT_EQ(topics("declare_topics", file),
            R"({"topics":2,"changed":2,"not_deployed":["missing"]})");
  EXPECT_THAT(topics.take_changed(), ElementsAre("both", "new"));
  EXPECT_EQ(topics("declare_topics", file),
            R"({"topics":2,"changed":0,"not_deployed":["missing"]})");
  EXPECT_THAT(topics.all(), HasSubstr(R"({"function":"missing","file":true,"deployed":false})"));
  EXPECT_EQ(
      topics("declare_topics",
             R"({"topics":{"both":{"subscriptions":[{"function":"mail","filter":{"a":["b"]}}]},)"
             R"("new":{"subscriptions":[{"function":"missing"}]},"asked":{}}})"),
      R"({"topics":3,"changed":1,"not_deployed":["missing"]})");
  EXPECT_THAT(topics("add_topic", R"({"name":"asked"})"), HasSubstr("added"));
  EXPECT_THAT(topics("add_topic", R"({"name":"asked"})"), HasSubstr("unchanged"));
  EXPECT_THAT(topics("subscribe", R"({"name":"new","function":"bill"})"), HasSubstr("subscribed"));
  topics.take_changed();

  // What is gone from the file goes, what operators have done stays.
  topics("declare_topics", R"({"topics":{}})");
  EXPECT_THAT(topics.take_changed(), ElementsAre("asked", "both", "new"));
  EXPECT_EQ(topics.all(), R"({"topics":[)"
                          R"({"name":"asked","file":false,"operator":true,"subscriptions":[]},)"
                          R"({"name":"both","file":false,"operator":true,"subscriptions":[)"
                          R"({"function":"bill","file":false,"deployed":true}]},)"
                          R"({"name":"mine","file":false,"operator":true,"subscriptions":[]},)"
                          R"({"name":"new","file":false,"operator":true,"subscriptions":[)"
                          R"({"function":"bill","file":false,"deployed":true}]}]})");
  EXPECT_THAT(
      topics(
          "declare_topics",
          R"({"topics":{"both":{"subscriptions":[{"function":"f","filter":{"a":{"b":[1]}}}]}}})"),
      HasSubstr("both, f: filter policy field 'a'"));
}

// Either side takes back its own, in either order, and what the other wants stays as it was.
TEST(TopicTable, OneSideTakesBackWhatTheOtherWantsToo) {
  const std::string file =
      R"({"topics":{"orders":{"subscriptions":[{"function":"mail","filter":{"a":["b"]}}]}}})";
  const std::string mine = R"({"name":"orders","function":"mail","filter":{"c":["d"]}})";
  const std::string of_file =
      R"({"function":"mail","filter":{"a":["b"]},"filter_scope":"attributes","file":true,"deployed":true})";
  const std::string of_operator =
      R"({"function":"mail","filter":{"c":["d"]},"filter_scope":"attributes","file":false,"deployed":true})";
  const auto only = [](const std::string& flags, const std::string& subscriptions) {
    return R"({"topics":[{"name":"orders",)" + flags + R"(,"subscriptions":[)" + subscriptions +
           "]}]}";
  };
  const std::string both_flags = R"("file":true,"operator":true)";
  for (const bool file_first : {true, false}) {
    Topics topics;
    if (file_first) topics("declare_topics", file);
    topics("add_topic", R"({"name":"orders"})");
    EXPECT_EQ(topics("subscribe", mine), std::string{R"({"name":"orders","outcome":"subscribed")"} +
                                             R"(,"file":)" + (file_first ? "true" : "false") +
                                             R"(,"deployed":true})");
    if (!file_first) topics("declare_topics", file);
    EXPECT_EQ(topics.all(), only(both_flags, of_file + "," + of_operator));
    EXPECT_THAT(topics("subscribe", mine), HasSubstr("unchanged"));
    EXPECT_EQ(topics("declare_topics", file), R"({"topics":1,"changed":0,"not_deployed":[]})");

    Topics file_drops = topics;
    file_drops("declare_topics", R"({"topics":{}})");
    EXPECT_EQ(file_drops.all(), only(R"("file":false,"operator":true)", of_operator));

    EXPECT_EQ(topics("unsubscribe", mine),
              R"({"name":"orders","outcome":"unsubscribed","file":true})");
    EXPECT_EQ(topics.all(), only(both_flags, of_file));
    EXPECT_EQ(topics("unsubscribe", mine),
              R"({"name":"orders","outcome":"unchanged","file":true})");
    topics("subscribe", mine);
    EXPECT_EQ(topics("remove_topic", mine),
              R"({"name":"orders","outcome":"removed","subscriptions":1,"file":true})");
    EXPECT_EQ(topics.all(), only(R"("file":true,"operator":false)", of_file));
    EXPECT_EQ(topics("remove_topic", mine),
              R"({"name":"orders","outcome":"unchanged","subscriptions":0,"file":true})");
    topics("declare_topics", R"({"topics":{}})");
    EXPECT_EQ(topics.all(), R"({"topics":[]})");
  }
}

TEST(TopicTable, WhatCannotBeReadIsATopicWithoutSubscribers) {
  TopicTable table;
  EXPECT_FALSE(table.load("orders", "{"));
  EXPECT_FALSE(table.load("others", R"({"subscriptions":[{"function":"a b"}]})"));
  EXPECT_EQ(table.topics().size(), 2u);
  EXPECT_TRUE(
      table.load("orders", R"({"file":true,"subscriptions":[{"function":"f","file":true}]})"));
  EXPECT_THAT(table.topics_of("f"), ElementsAre("orders"));
}

}  // namespace
}  // namespace fanfare::broker
