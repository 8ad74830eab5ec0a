// What an event costs must not grow with the number of patterns.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>

#include "protocol/matcher.h"
#include "tests/perf/pattern_corpus.h"

namespace fanfare::protocol {
namespace {

using Clock = std::chrono::steady_clock;

std::vector<EventView> views_into(const std::vector<std::string>& packed) {
  std::vector<EventView> views;
  for (const std::string& event : packed) views.push_back(*view_event(event));
  return views;
}

// In turns, the quickest of several: whatever else the machine does makes no time shorter.
TEST(MatcherCost, TenThousandPatternsTakeNotMuchLongerThanAHundred) {
  const auto packed = perf::corpus_events(FANFARE_SOURCE_DIR);
  const auto events = views_into(packed);
  Matcher few = perf::corpus_matcher(FANFARE_SOURCE_DIR, 100);
  Matcher many = perf::corpus_matcher(FANFARE_SOURCE_DIR, 10'000);
  perf::match_all(few, events);
  perf::match_all(many, events);
  Clock::duration few_took = Clock::duration::max(), many_took = few_took;
  const auto measure = [&](Matcher& matcher, Clock::duration& quickest) {
    const auto from = Clock::now();
    for (int i = 0; i < 5; ++i) perf::match_all(matcher, events);
    quickest = std::min(quickest, Clock::now() - from);
  };
  for (int round = 0; round < 15; ++round) {
    measure(few, few_took);
    measure(many, many_took);
  }
  const double ratio = std::chrono::duration<double>(many_took) / few_took;
  std::printf("10,000 patterns take %.2f times as long as 100\n", ratio);
  EXPECT_LT(ratio, 3.0);
}

// How many branches an event is held against, of so many patterns: a count, which no load of the
// machine changes.
std::uint32_t held_of(std::size_t count, const std::function<std::string(std::size_t)>& pattern,
                      std::string_view data) {
  Matcher matcher;
  for (std::size_t i = 0; i < count; ++i) {
    const auto compiled = compile_pattern(pattern(i));
    EXPECT_TRUE(compiled) << compiled.error().message;
    matcher.add(*compiled, static_cast<std::uint32_t>(i));
  }
  EventView event;
  event.type = "order.placed";
  event.source = "/shop";
  event.data = data;
  return matcher.match(event).branches_held;
}

#ifdef FANFARE_SANITIZED
constexpr std::size_t kMany = 1'000;  // 10,000 take most of a minute to compile
#else
constexpr std::size_t kMany = 10'000;
#endif

struct Family {
  const char* what;
  std::function<std::string(std::size_t)> pattern;
  std::string data;
};

TEST(MatcherCost, PatternsThatAreAlikeInMuchAreToldApart) {
  const auto of_type = [](const std::string& data) {
    return R"({"type":["order.placed"],"source":["/shop"],"data":{)" + data + "}}";
  };
  const auto number = [](std::size_t i) { return std::to_string(100'000 + i); };
  const std::vector<Family> families{
      {"one type, many values of a field",
       [&](std::size_t i) { return of_type(R"("id":[")" + number(i) + R"("])"); },
       R"({"id":"100042"})"},
      {"two fields of a hundred values each",
       [&](std::size_t i) {
         return of_type(R"("a":[)" + std::to_string(i / 100) + R"(],"b":[)" +
                        std::to_string(i % 100) + "]");
       },
       R"({"a":4,"b":42})"},
      {"a field that most do not have",
       [&](std::size_t i) { return of_type(R"("f)" + number(i) + R"(":[{"exists":true}])"); },
       R"({"f100042":1})"},
      {"prefixes that begin alike",
       [&](std::size_t i) {
         return of_type(R"("path":[{"prefix":"https://example.org/a/long/way/)" + number(i) +
                        R"(/"}])");
       },
       R"({"path":"https://example.org/a/long/way/100042/x"})"},
      {"suffixes in any case",
       [&](std::size_t i) {
         return of_type(R"("path":[{"suffix":{"equals-ignore-case":"-)" + number(i) +
                        R"(.PNG"}}])");
       },
       R"({"path":"x-100042.png"})"},
      {"wildcards that begin and end with a star",
       [&](std::size_t i) {
         return of_type(R"("path":[{"wildcard":"*/shop-)" + number(i) + R"(/*"}])");
       },
       R"({"path":"/eu/shop-100042/x"})"},
      {"narrow ranges of numbers",
       [&](std::size_t i) {
         return of_type(R"("n":[{"numeric":[">=",)" + number(i) + R"(,"<",)" + number(i) +
                        R"(.5]}])");
       },
       R"({"n":100042.25})"},
      {"ranges of addresses",
       [&](std::size_t i) {
         return of_type(R"("ip":[{"cidr":"10.)" + std::to_string(i / 200) + "." +
                        std::to_string(i % 200) + R"(.0/24"}])");
       },
       R"({"ip":"10.4.30.40"})"},
      {"anything-but, beside a value",
       [&](std::size_t i) {
         return of_type(R"("id":[")" + number(i) + R"("],"state":[{"anything-but":["test"]}])");
       },
       R"({"id":"100042","state":"live"})"},
      {"absence, beside a value",
       [&](std::size_t i) {
         return of_type(R"("id":[")" + number(i) + R"("],"deleted":[{"exists":false}])");
       },
       R"({"id":"100042"})"},
      {"values of rows",
       [&](std::size_t i) {
         return of_type(R"("rows":{"id":[")" + number(i) + R"("],"state":["new"]})");
       },
       R"({"rows":[{"id":"100042","state":"old"},{"id":"100043","state":"new"}]})"},
      {"the same pattern",
       [&](std::size_t) { return of_type(R"("state":[{"anything-but":["test"]}])"); },
       R"({"state":"test"})"},
  };
  for (const Family& family : families) {
    const auto few = held_of(100, family.pattern, family.data);
    const auto many = held_of(kMany, family.pattern, family.data);
    EXPECT_GE(many, 1u) << family.what;
    EXPECT_LE(many, std::max(few, 6u) + 6) << family.what << ": " << few << " of a hundred";
  }
}

}  // namespace
}  // namespace fanfare::protocol
