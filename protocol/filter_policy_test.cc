// Filter policies over attributes and bodies: the examples of Amazon SNS's developer guide, and
// what is refused.
#include "protocol/filter_policy.h"

#include <gtest/gtest.h>

#include "protocol/event.h"
#include "protocol/matcher.h"
#include "protocol/notification_attributes.h"

namespace fanfare::protocol {
namespace {

// Whether a notification to "orders" with these attributes, or that data, is wanted; asked of the
// matcher and of the pattern alone.
bool wants(std::string_view policy, FilterScope scope, const std::string& attributes,
           const std::string& data) {
  const auto pattern = subscription_pattern("orders", policy, scope);
  EXPECT_TRUE(pattern) << pattern.error().message;
  if (!pattern) return false;
  const auto compiled = compile_pattern(*pattern);
  EXPECT_TRUE(compiled) << *pattern;
  Event event;
  event.type = kNotificationType;
  event.source = source_of_topic("orders");
  event.data = data;
  if (!attributes.empty()) event.extensions.emplace_back(kNotificationAttributes, attributes);
  const std::string packed = pack(event);
  const auto view = view_event(packed);
  EXPECT_TRUE(view) << view.error().message;
  Matcher matcher;
  matcher.add(*compiled, 1);
  const bool together = !matcher.match(*view).subscribers.empty();
  EXPECT_EQ(together, matches(*compiled, to_pattern_json(*view))) << policy << attributes << data;
  return together;
}
bool wants(std::string_view policy, const std::string& attributes) {
  return wants(policy, FilterScope::kAttributes, attributes, "x");
}
bool wants_body(std::string_view policy, const std::string& data) {
  return wants(policy, FilterScope::kBody, "", data);
}

std::string refusal(std::string_view policy, FilterScope scope = FilterScope::kAttributes) {
  const auto pattern = subscription_pattern("orders", policy, scope);
  return pattern ? "it is taken" : pattern.error().message;
}

constexpr const char* kMessage =
    R"({"store":"example_corp","event":"order_placed","customer_interests":["soccer","rugby","hockey"],"price_usd":210.75,"ip":"10.0.0.77","encrypted":false,"none":null,"key.with.dots":"x"})";

// https://docs.aws.amazon.com/sns/latest/dg/example-filter-policies.html, over the attributes
// there.
TEST(FilterPolicy, TakesAndRefusesWhatSnsSaysOverAttributes) {
  for (
      const char* wanted : {
          R"({"store":["example_corp"]})",
          R"({"store":["example_corp"],"event":[{"anything-but":"order_cancelled"}],"customer_interests":["rugby","football","baseball"],"price_usd":[{"numeric":[">=",100]}]})",
          R"({"customer_interests":["rugby","tennis"]})",
          R"({"customer_interests":[{"prefix":"rug"}]})",
          R"({"customer_interests":[{"suffix":"ball"},{"suffix":"by"}]})",
          R"({"customer_interests":[{"equals-ignore-case":"RUGBY"}]})",
          R"({"event":[{"wildcard":"order_*"}]})",
          R"({"event":[{"anything-but":["order_cancelled","order_changed"]}]})",
          R"({"event":[{"anything-but":{"prefix":"order-"}}]})",
          R"({"event":[{"anything-but":{"wildcard":"*_cancelled"}}]})",
          R"({"event":[{"anything-but":{"suffix":"ed_"}}]})",
          R"({"ip":[{"cidr":"10.0.0.0/24"}]})",
          R"({"store":[{"exists":true}]})",
          R"({"shop":[{"exists":false}]})",
          R"({"encrypted":[{"exists":false}, false]})",
          R"({"price_usd":[{"numeric":["<",10]},{"numeric":[">=",200,"<",211]}]})",
          R"({"price_usd":[2.1075e2]})",
          R"({"$or":[{"store":["other"]},{"price_usd":[{"numeric":["=",210.75]}]}]})",
          R"({"event":["order_placed"],"$or":[{"shop":["x"]},{"encrypted":[false]}]})",
          R"({"none":[null]})",
          R"({"key.with.dots":["x"]})",
      }) {
    EXPECT_TRUE(wants(wanted, kMessage)) << wanted;
  }
  for (const char* not_wanted : {
           R"({"store":["example_corp"],"event":["order_cancelled"]})",
           R"({"store":[{"anything-but":["example_corp"]}]})",
           R"({"customer_interests":["baseball"]})",
           R"({"event":[{"anything-but":{"prefix":"order"}}]})",
           R"({"ip":[{"cidr":"10.0.1.0/24"}]})",
           R"({"store":[{"exists":false}]})",
           R"({"shop":[{"exists":true}]})",
           R"({"shop":[{"anything-but":"x"}]})",
           R"({"price_usd":["210.75"]})",
           R"({"price_usd":[{"numeric":[">",210.75]}]})",
           R"({"encrypted":["false"]})",
           R"({"key":["x"]})",
           R"({"Store":["example_corp"]})",
       }) {
    EXPECT_FALSE(wants(not_wanted, kMessage)) << not_wanted;
  }
}

TEST(FilterPolicy, WithoutAttributesOnlyAbsenceIsWanted) {
  for (const char* attributes : {"", "{}", "no object", R"(["store"])", R"({"store":[]})",
                                 R"({"store":{"base64":"AAE="}})", R"({"store":"x")"}) {
    EXPECT_FALSE(wants(R"({"store":[{"exists":true}]})", attributes)) << attributes;
    EXPECT_TRUE(wants(R"({"store":[{"exists":false}]})", attributes)) << attributes;
  }
  EXPECT_TRUE(wants("", "")) << "no policy, everything";
  EXPECT_TRUE(wants("{}", ""));
}

// https://docs.aws.amazon.com/sns/latest/dg/attribute-and-payload-filtering.html
TEST(FilterPolicy, LooksIntoTheBodyWhereItIsOfThatScope) {
  constexpr const char* kBody =
      R"({"store":"example_corp","customer":{"interests":["soccer","rugby"],"age":41},)"
      R"("orders":[{"kind":"ticket","price":12},{"kind":"shirt","price":50}]})";
  EXPECT_TRUE(
      wants_body(R"({"store":["example_corp"],"customer":{"interests":["rugby"]}})", kBody));
  EXPECT_TRUE(wants_body(R"({"customer":{"age":[{"numeric":[">",40,"<=",41]}]}})", kBody));
  EXPECT_TRUE(wants_body(R"({"orders":{"kind":["shirt"],"price":[50]}})", kBody));
  EXPECT_FALSE(wants_body(R"({"orders":{"kind":["shirt"],"price":[12]}})", kBody))
      << "in the same element";
  EXPECT_FALSE(wants_body(R"({"customer":{"interests":["hockey"]}})", kBody));
  EXPECT_FALSE(wants_body(R"({"store":["example_corp"]})", "no JSON"));
  EXPECT_FALSE(wants(R"({"store":["a"]})", FilterScope::kBody, R"({"store":"a"})", "{}"))
      << "attributes are not the body";
}

TEST(FilterPolicy, IsOfItsTopicAlone) {
  const auto pattern = subscription_pattern("orders", "", FilterScope::kBody);
  EXPECT_EQ(*pattern, R"({"type":["notification.published"],"source":["/topics/orders"]})");
}

TEST(FilterPolicy, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(refusal(R"({"store":"x"})"),
            "filter policy field 'store' must be a non-empty array of alternatives or an object of "
            "fields");
  EXPECT_NE(refusal(R"({"price":[{"numeric":["~",1]}]})").find("filter policy field 'price'"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"store":[{"matches":"x"}]})").find("'store'"), std::string::npos);
  EXPECT_NE(refusal(R"({"customer":{"age":[]}})", FilterScope::kBody).find("'customer.age'"),
            std::string::npos);
  const std::string nested = refusal(R"({"customer":{"age":[1]}})");
  EXPECT_NE(nested.find("filter policy field 'customer': attributes have no fields within them"),
            std::string::npos)
      << nested;
  EXPECT_NE(refusal(R"({"$or":[{"a":{"b":[1]}},{"c":[1]}]})").find("'a'"), std::string::npos);
  EXPECT_NE(refusal("{").find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal("[]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal(std::string(20'000, ' ')).find("over 16384 bytes"), std::string::npos);
  EXPECT_NE(refusal(std::string(5000, '[')).find("nested too deep"), std::string::npos);
  EXPECT_FALSE(parse_filter_scope("data"));
  EXPECT_EQ(*parse_filter_scope("MessageBody"), FilterScope::kBody);
}

TEST(FilterPolicy, LeavesOtherPatternsAsTheyWere) {
  EXPECT_TRUE(compile_pattern(R"({"attributes":["text"]})"));
  EXPECT_FALSE(compile_pattern(R"({"region":{"a":["b"]}})"));
  EXPECT_FALSE(compile_pattern(R"({"attributes":[1]})")) << "of a text";
  const auto both = compile_pattern(R"({"attributes":{"a.b":["x"]}})");
  ASSERT_TRUE(both);
  EXPECT_TRUE(matches(*both, R"({"attributes":{"a.b":"x"}})"));
  EXPECT_FALSE(matches(*both, R"({"attributes":{"a":{"b":"x"}}})"));
}

}  // namespace
}  // namespace fanfare::protocol
