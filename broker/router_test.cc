#include "broker/router.h"

#include <gtest/gtest.h>

namespace fanfare::broker {
namespace {

protocol::EventView event_of(std::string_view type, std::string_view data = {}) {
  protocol::EventView event;
  event.type = type;
  event.source = "/tests";
  event.data = data;
  return event;
}

protocol::Pattern pattern(std::string_view json) {
  auto compiled = protocol::compile_pattern(json);
  EXPECT_TRUE(compiled) << compiled.error().message;
  return *std::move(compiled);
}

using Names = std::vector<std::string>;

TEST(Router, SendsAnEventToEveryFunctionWhosePatternNamesItsType) {
  Router router;
  router.subscribe("mail", pattern(R"({"type":["form.submitted"]})"));
  router.subscribe("keep", pattern(R"({"type":["form.submitted","form.updated"]})"));
  router.subscribe("thumb", pattern(R"({"type":["storage.object.created"]})"));
  EXPECT_EQ(router.route(event_of("form.submitted")).functions, (Names{"keep", "mail"}));
  EXPECT_EQ(router.route(event_of("form.updated")).functions, (Names{"keep"}));
}

TEST(Router, AnUnknownTypeHasAnEmptyRoute) {
  Router router;
  router.subscribe("mail", pattern(R"({"type":["form.submitted"]})"));
  EXPECT_TRUE(router.route(event_of("form.submitted.twice")).functions.empty());
}

TEST(Router, PrefixesMatchTheBeginningOnly) {
  Router router;
  router.subscribe("all-forms", pattern(R"({"type":[{"prefix":"form."}]})"));
  EXPECT_EQ(router.route(event_of("form.submitted")).functions, (Names{"all-forms"}));
  EXPECT_TRUE(router.route(event_of("a.form.submitted")).functions.empty());
}

TEST(Router, FieldsOfTheDataMustAllHold) {
  Router router;
  router.subscribe(
      "urgent", pattern(R"({"type":["ticket"],"data":{"level":[1,2],"team":[{"prefix":"ops"}]}})"));
  EXPECT_EQ(router.route(event_of("ticket", R"({"level":2.0,"team":"ops-eu"})")).functions,
            (Names{"urgent"}));
  EXPECT_TRUE(router.route(event_of("ticket", R"({"level":3,"team":"ops-eu"})")).functions.empty());
  EXPECT_TRUE(router.route(event_of("ticket", R"({"level":"2","team":"ops"})")).functions.empty());
}

TEST(Router, AnyBranchOfAPatternIsEnoughAndCountsOnce) {
  Router router;
  router.subscribe("f", pattern(R"({"$or":[{"type":["a","b"]},{"type":["b"],"data":{"n":[1]}},
                                           {"type":[{"suffix":".png"}]},{"subject":["x"]}]})"));
  EXPECT_EQ(router.route(event_of("a")).functions, (Names{"f"}));
  EXPECT_EQ(router.route(event_of("b", R"({"n":1})")).functions, (Names{"f"}));
  EXPECT_EQ(router.route(event_of("x.png")).functions, (Names{"f"}));
  EXPECT_TRUE(router.route(event_of("c")).functions.empty());
  auto event = event_of("c");
  event.subject = "x";
  EXPECT_EQ(router.route(event).functions, (Names{"f"}));
}

TEST(Router, TypesWhoseCaseIsIgnoredAreFound) {
  Router router;
  router.subscribe("f", pattern(R"({"type":[{"equals-ignore-case":"Order"}]})"));
  EXPECT_EQ(router.route(event_of("ORDER")).functions, (Names{"f"}));
}

TEST(Router, FieldsOfAnArrayMatchInOneElement) {
  Router router;
  router.subscribe("f", pattern(R"({"data":{"rows":{"a":[1],"b":[2]}}})"));
  EXPECT_EQ(router.route(event_of("x", R"({"rows":[{"a":1,"b":2}]})")).functions, (Names{"f"}));
  EXPECT_TRUE(router.route(event_of("x", R"({"rows":[{"a":1},{"b":2}]})")).functions.empty());
}

TEST(Router, AnArrayInTheEventMatchesIfOneElementDoes) {
  Router router;
  router.subscribe("red", pattern(R"({"data.tags":["red"]})"));
  EXPECT_EQ(router.route(event_of("x", R"({"tags":["blue","red"]})")).functions, (Names{"red"}));
  EXPECT_TRUE(router.route(event_of("x", R"({"tags":["blue"]})")).functions.empty());
}

TEST(Router, DataThatIsNotJsonStillMatchesAttributePatterns) {
  Router router;
  router.subscribe("any", pattern(R"({"source":["/tests"]})"));
  router.subscribe("json-only", pattern(R"({"data":{"a":[1]}})"));
  EXPECT_EQ(router.route(event_of("x", "\x01\x02 not json")).functions, (Names{"any"}));
}

TEST(Router, TheSameTypeIsJudgedByItsDataEachTime) {
  Router router;
  router.subscribe("one", pattern(R"({"type":["t"],"data":{"n":[1]}})"));
  EXPECT_EQ(router.route(event_of("t", R"({"n":1})")).functions.size(), 1u);
  EXPECT_EQ(router.route(event_of("t", R"({"n":2})")).functions.size(), 0u);
}

TEST(Router, TwoPatternsOfAFunctionAreAlternativesAndGiveOneDelivery) {
  Router router;
  router.subscribe("f", pattern(R"({"type":["a"]})"));
  router.subscribe("f", pattern(R"({"source":["/tests"]})"));
  EXPECT_EQ(router.route(event_of("a")).functions, (Names{"f"}));
}

TEST(Router, TypesAreFoundByRulesThatNoIndexKnows) {
  Router router;
  router.subscribe("others", pattern(R"({"type":["a",{"anything-but":["b","c"]}]})"));
  router.subscribe("all", pattern(R"({"type":[{"exists":true}]})"));
  router.subscribe("b", pattern(R"({"type":["b"]})"));
  EXPECT_EQ(router.route(event_of("a")).functions, (Names{"all", "others"}));
  EXPECT_EQ(router.route(event_of("b")).functions, (Names{"all", "b"}));
  EXPECT_EQ(router.route(event_of("new")).functions, (Names{"all", "others"}));
}

TEST(Router, AbsenceAndRangesDecideToo) {
  Router router;
  router.subscribe("no-subject", pattern(R"({"subject":[{"exists":false}]})"));
  router.subscribe("cheap", pattern(R"({"data":{"price":[{"numeric":["<",10]}]}})"));
  router.subscribe("no-price", pattern(R"({"data":{"price":[{"exists":false}]}})"));
  EXPECT_EQ(router.route(event_of("x", R"({"price":9.5})")).functions,
            (Names{"cheap", "no-subject"}));
  EXPECT_EQ(router.route(event_of("x", "no JSON")).functions, (Names{"no-price", "no-subject"}));
  auto about = event_of("x", R"({"price":10})");
  about.subject = "it";
  EXPECT_TRUE(router.route(about).functions.empty());
}

TEST(Router, ExtensionsAreAttributesLikeOthers) {
  protocol::Event event;
  event.type = "x";
  event.source = "/tests";
  event.extensions = {{"region", "north"}};
  const std::string packed = protocol::pack(event);
  Router router;
  router.subscribe("north", pattern(R"({"region":["north"]})"));
  router.subscribe("nowhere", pattern(R"({"region":[{"exists":false}]})"));
  EXPECT_EQ(router.route(protocol::view_event(packed).value()).functions, (Names{"north"}));
  EXPECT_EQ(router.route(event_of("x")).functions, (Names{"nowhere"}));
}

TEST(Router, OfATypeThatCameBeforeAsksNewSubscribersToo) {
  Router router;
  router.subscribe("mail", pattern(R"({"type":["form.submitted"]})"));
  for (int times = 0; times < 3; ++times) {
    EXPECT_EQ(router.route(event_of("form.submitted")).functions, (Names{"mail"}));
  }
  router.subscribe("keep", pattern(R"({"type":["form.submitted"]})"));
  for (int times = 0; times < 3; ++times) {
    EXPECT_EQ(router.route(event_of("form.submitted")).functions, (Names{"keep", "mail"}));
  }
  EXPECT_TRUE(router.route(event_of("form.submitted.again")).functions.empty());
}

TEST(Router, ForgetsItsRoutesWhenPublishersMakeTooMany) {
  Router router(6);
  router.subscribe("all", pattern(R"({"source":["/tests"]})"));
  router.subscribe("one", pattern(R"({"data":{"n":[1]}})"));
  router.subscribe("two", pattern(R"({"data":{"n":[2]}})"));
  const Names with_one{"all", "one"}, with_two{"all", "two"};
  EXPECT_EQ(router.route(event_of("t", R"({"n":1})")).functions, with_one);
  EXPECT_EQ(router.route(event_of("t", R"({"n":2})")).functions, with_two);
  EXPECT_EQ(router.route(event_of("t", R"({"n":1})")).functions, with_one);
  EXPECT_EQ(router.forgotten(), 0u) << "there is just room for both";
  EXPECT_EQ(router.route(event_of("t", R"({"n":[1,2]})")).functions, (Names{"all", "one", "two"}));
  EXPECT_EQ(router.forgotten(), 1u);
  EXPECT_EQ(router.route(event_of("t", R"({"n":2})")).functions, with_two);
  EXPECT_EQ(router.forgotten(), 2u);
}

}  // namespace
}  // namespace fanfare::broker
