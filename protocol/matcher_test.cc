#include "protocol/matcher.h"

#include <gtest/gtest.h>

#include <cmath>

#include "protocol/matcher_index.h"
#include "protocol/matcher_keys.h"
#include "protocol/number_ranges.h"

namespace fanfare::protocol {
namespace {

using Numbers = std::vector<std::uint32_t>;

EventView event_with(std::string_view data, std::string_view type = "t") {
  EventView event;
  event.type = type;
  event.source = "/tests";
  event.data = data;
  return event;
}

void add(Matcher& matcher, std::string_view pattern, std::uint32_t subscriber) {
  const auto compiled = compile_pattern(pattern);
  ASSERT_TRUE(compiled) << compiled.error().message;
  matcher.add(*compiled, subscriber);
}

Numbers found(Matcher& matcher, const EventView& event) {
  const auto matched = matcher.match(event);
  return {matched.subscribers.begin(), matched.subscribers.end()};
}

TEST(Matcher, WithoutPatternsMatchesNothing) {
  Matcher matcher;
  EXPECT_EQ(found(matcher, event_with("{}")), Numbers{});
}

TEST(Matcher, TakesPatternsAfterItHasMatched) {
  Matcher matcher;
  add(matcher, R"({"type":["t"]})", 1);
  EXPECT_EQ(found(matcher, event_with("{}")), Numbers{1});
  add(matcher, R"({"data":{"a":[1]}})", 7);
  EXPECT_EQ(found(matcher, event_with(R"({"a":1})")), (Numbers{1, 7}));
}

TEST(Matcher, NamesASubscriberOnceHoweverManyOfItsPatternsMatch) {
  Matcher matcher;
  add(matcher, R"({"type":["t"]})", 1);
  add(matcher, R"({"$or":[{"type":["t"]},{"source":["/tests"]}]})", 1);
  add(matcher, R"({"type":["t"]})", 0);
  EXPECT_EQ(found(matcher, event_with("{}")), (Numbers{0, 1}));
}

TEST(Matcher, SaysWhenTheTypeAloneDecides) {
  Matcher matcher;
  add(matcher, R"({"type":["t", "u"]})", 1);
  add(matcher, R"({"type":["u"],"source":["/x"]})", 2);
  add(matcher, R"({"type":[{"prefix":"w."}],"data":{"a":[1]}})", 3);
  EXPECT_TRUE(matcher.match(event_with("{}", "t")).by_type_alone);
  EXPECT_TRUE(matcher.match(event_with("{}", "v")).by_type_alone);
  EXPECT_FALSE(matcher.match(event_with("{}", "u")).by_type_alone);
  EXPECT_FALSE(matcher.match(event_with("{}", "w.x")).by_type_alone);
  add(matcher, R"({"source":["/x"]})", 4);
  EXPECT_FALSE(matcher.match(event_with("{}", "t")).by_type_alone);
}

// As many of each kind as make it look further down by more than one test.
TEST(Matcher, FindsEachOfManyByEveryOperator) {
  Matcher matcher;
  std::uint32_t next = 0;
  for (int i = 100; i < 200; ++i) {
    const std::string n = std::to_string(i);
    const std::string of_type = R"({"type":["t)" + std::to_string(i % 3) + R"("],"data":{)";
    add(matcher, of_type + R"("k":["v)" + n + R"("]}})", next++);
    add(matcher, of_type + R"("k":[{"prefix":"p)" + n + R"(-"}]}})", next++);
    add(matcher, of_type + R"("k":[{"suffix":"-s)" + n + R"("}]}})", next++);
    add(matcher, of_type + R"("k":[{"equals-ignore-case":"Ignored)" + n + R"("}]}})", next++);
    add(matcher, of_type + R"("k":[{"wildcard":"*/w)" + n + R"(/*"}]}})", next++);
    add(matcher, of_type + R"("k":[{"numeric":[">=",)" + n + R"(,"<",)" + n + R"(.5]}]}})", next++);
    add(matcher, of_type + R"("k":[{"cidr":"10.0.)" + n + R"(.0/24"}]}})", next++);
  }
  const auto of = [&](const std::string& value) {
    return found(matcher, event_with(R"({"k":)" + value + "}", "t2"));  // 143 % 3 is 2
  };
  EXPECT_EQ(of(R"("v143")"), Numbers{301});
  EXPECT_EQ(of(R"("p143-x")"), Numbers{302});
  EXPECT_EQ(of(R"("x-s143")"), Numbers{303});
  EXPECT_EQ(of(R"("IGNORED143")"), Numbers{304});
  EXPECT_EQ(of(R"("home/w143/x")"), Numbers{305});
  EXPECT_EQ(of("143.25"), Numbers{306});
  EXPECT_EQ(of(R"("10.0.143.7")"), Numbers{307});
  EXPECT_EQ(of(R"(["v143","v142",143])"), (Numbers{301, 306}));
  EXPECT_EQ(of(R"("v142")"), Numbers{}) << "of another type";
}

TEST(Matcher, ReadsDataAsTheJsonViewOfAnEventHasIt) {
  Matcher matcher;
  add(matcher, R"({"data":[{"exists":true}]})", 1);
  add(matcher, R"({"data":{"a":[1]}})", 2);
  add(matcher, R"({"data":{"a":[{"exists":false}]}})", 3);
  const auto nested = [](int depth, std::string_view inside) {
    const auto count = static_cast<std::size_t>(depth);
    return std::string(count, '[') + std::string(inside) + std::string(count, ']');
  };
  for (const std::string& data :
       {std::string("5"), std::string("[]"), std::string("{"), std::string("\xEF\xBB\xBF{}"),
        std::string("1 2"), std::string(R"({"a":1,"a":2})"), std::string(R"({"a":2,"a":1})"),
        std::string(R"({"a":{},"a":1})"), nested(255, "1"), nested(256, "1"), nested(256, ""),
        nested(255, "{}"), nested(257, ""), nested(257, "1"), nested(256, "[]"), nested(256, "{}"),
        nested(1500, "1")}) {
    for (const std::string_view type : {"", "application/json", "text/plain"}) {
      EventView event = event_with(data);
      event.content_type = type;
      Numbers wanted;
      std::uint32_t number = 0;
      for (const auto pattern : {R"({"data":[{"exists":true}]})", R"({"data":{"a":[1]}})",
                                 R"({"data":{"a":[{"exists":false}]}})"}) {
        ++number;
        if (matches(*compile_pattern(pattern), to_pattern_json(event))) wanted.push_back(number);
      }
      EXPECT_EQ(found(matcher, event), wanted) << data.substr(0, 40) << ' ' << type;
    }
  }
}

TEST(Matcher, AnswersEachEventForItself) {
  Matcher matcher;
  add(matcher, R"({"data":{"a":[1],"b":[{"exists":false}]}})", 1);
  EXPECT_EQ(found(matcher, event_with(R"({"a":1})")), Numbers{1});
  EXPECT_EQ(found(matcher, event_with(R"({"a":1,"b":2})")), Numbers{});
  EXPECT_EQ(found(matcher, event_with("no JSON")), Numbers{});
  EXPECT_EQ(found(matcher, event_with(R"({"a":1})")), Numbers{1});
}

TEST(Matcher, FieldsOfAnArrayMatchInOneElementAlsoAmongMany) {
  Matcher matcher;
  for (int i = 0; i < 40; ++i) {
    add(matcher,
        R"({"data":{"rows":{"a":[)" + std::to_string(i) + R"(],"b":{"c":["x"]}},"n":[1]}})",
        static_cast<std::uint32_t>(i));
  }
  std::string rows;
  for (int i = 0; i < 40; ++i) {
    if (i > 0) rows += ',';
    rows +=
        R"({"a":)" + std::to_string(i) + R"(,"b":[{"c":")" + (i % 10 == 3 ? 'x' : 'y') + R"("}]})";
  }
  EXPECT_EQ(found(matcher, event_with(R"({"n":[0,1],"rows":[[)" + rows + "]]}")),
            (Numbers{3, 13, 23, 33}));
}

TEST(MatcherKeys, OfTheEndsOfATextAreThoseOfTheTextsThatTheyAre) {
  const std::string text = "a text of more than thirty-two bytes, ä";
  std::vector<std::uint32_t> lengths;
  for (std::uint32_t i = 0; i <= text.size() + 2; ++i) lengths.push_back(i);
  std::size_t seen = 0;
  each_prefix(text, lengths, [&](std::uint32_t length, std::uint64_t hash) {
    EXPECT_EQ(hash, hash_text(std::string_view(text).substr(0, length))) << length;
    ++seen;
  });
  EXPECT_EQ(seen, text.size() + 1);
  each_suffix(text, lengths, [&](std::uint32_t length, std::uint64_t hash) {
    each_suffix(text.substr(text.size() - length), {length},
                [&](std::uint32_t, std::uint64_t alone) { EXPECT_EQ(hash, alone) << length; });
  });
}

TEST(MatcherKeys, OfPiecesOfDifferentLengthsAreNotMixedUp) {
  Matcher matcher;
  const std::vector<std::string> pieces{"a", "aa", "aaa", "aaaa", "ab", "abab", "aba", "b"};
  for (std::uint32_t i = 0; i < pieces.size(); ++i) {
    add(matcher, R"({"data":{"k":[{"wildcard":"*)" + pieces[i] + R"(*"}]}})", i);
  }
  EXPECT_EQ(found(matcher, event_with(R"({"k":"xabx"})")), (Numbers{0, 4, 7}));
  EXPECT_EQ(found(matcher, event_with(R"({"k":"xababx"})")), (Numbers{0, 4, 5, 6, 7}));
  EXPECT_EQ(found(matcher, event_with(R"({"k":"aaa"})")), (Numbers{0, 1, 2}));
}

TEST(MatcherKeys, ThatATableCannotTellApartAreRefused) {
  KeyTable table;
  table.resize(4);
  constexpr std::uint64_t kKey = 0x1234567800000042;
  EXPECT_TRUE(table.insert(kKey, Target::node(1)));
  EXPECT_TRUE(table.insert(kKey + 1, Target::branch(2)));
  EXPECT_FALSE(table.insert(kKey, Target::node(3)));
  EXPECT_FALSE(table.insert(kKey | std::uint64_t{1} << 60, Target::node(3))) << "of the same place";
  EXPECT_EQ(table.find(kKey).number(), 1u);
  EXPECT_TRUE(table.find(kKey + 1).is_branch());
  EXPECT_FALSE(table.find(kKey + 2));
}

TEST(NumberRangesOfPatterns, AreFoundByWhatLiesInThem) {
  constexpr double kNoEnd = std::numeric_limits<double>::infinity();
  std::vector<Alternative> all;
  const auto range = [&](double min, double max, bool min_inside, bool max_inside) {
    Alternative& one = all.emplace_back();
    one.kind = Alternative::Kind::kNumeric;
    one.number = min;
    one.number_max = max;
    one.min_inside = min_inside;
    one.max_inside = max_inside;
  };
  range(-kNoEnd, 3, true, true);
  range(-kNoEnd, 3, true, false);
  range(5, kNoEnd, false, true);
  for (int i = 0; i < 20; ++i) range(i, i + 4, i % 2 == 0, i % 3 == 0);
  NumberRanges ranges;
  ranges.build();
  EXPECT_TRUE(ranges.empty());
  for (std::uint32_t i = 0; i < all.size(); ++i) ranges.add(all[i], i);
  ranges.build();
  for (double number = -2; number < 30; number += 0.5) {
    Numbers wanted, seen;
    for (std::uint32_t i = 0; i < all.size(); ++i) {
      const Alternative& one = all[i];
      const bool above = one.min_inside ? number >= one.number : number > one.number;
      const bool below = one.max_inside ? number <= one.number_max : number < one.number_max;
      if (above && below) wanted.push_back(i);
    }
    ranges.each_with(number, [&](std::uint32_t target) { seen.push_back(target); });
    std::ranges::sort(seen);
    EXPECT_EQ(seen, wanted) << number;
  }
}

}  // namespace
}  // namespace fanfare::protocol
