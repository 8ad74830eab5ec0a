#include "protocol/pattern_explain.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "protocol/random_patterns.h"

namespace fanfare::protocol {
namespace {

Explained explained(std::string_view pattern, std::string_view json) {
  const auto compiled = compile_pattern(pattern);
  EXPECT_TRUE(compiled) << compiled.error().message;
  auto told = explain(*compiled, json);
  EXPECT_TRUE(told) << told.error().message;
  return *std::move(told);
}

std::string words_of(std::string_view alternative) {
  const auto compiled = compile_document_pattern(R"({"a":[)" + std::string(alternative) + "]}");
  EXPECT_TRUE(compiled) << compiled.error().message;
  return in_words(compiled->branches[0].fields[0].alternatives[0]);
}

TEST(PatternExplained, NamesTheFieldThatDoesNotMatchAndWhatIsThere) {
  const auto told = explained(R"({"type":["a",{"prefix":"b"}],"data":{"n":[5],"m":[1]}})",
                              R"({"type":"c","data":{"n":[5,6]}})");
  EXPECT_FALSE(told.matches);
  ASSERT_EQ(told.branches.size(), 1u);
  const auto& fields = told.branches[0].fields;
  ASSERT_EQ(fields.size(), 3u);
  EXPECT_EQ(fields[0].path, "type");
  EXPECT_EQ(fields[0].wanted, R"("a" or prefix "b")");
  EXPECT_FALSE(fields[0].holds);
  EXPECT_EQ(fields[0].found, std::vector<std::string>{R"("c")"});
  EXPECT_EQ(fields[1].path, "data.m");
  EXPECT_FALSE(fields[1].holds);
  EXPECT_TRUE(fields[1].found.empty());
  EXPECT_EQ(fields[2].path, "data.n");
  EXPECT_TRUE(fields[2].holds);
  EXPECT_EQ(fields[2].found, (std::vector<std::string>{"5", "6"}));
}

TEST(PatternExplained, SaysWhenFieldsHoldButNotInOneElement) {
  const auto told = explained(
      R"({"data":{"shop":{"rows":{"a":[1],"b":{"c":[2]}}},"tags":["x"]}})",
      R"({"data":{"shop":{"rows":[{"a":1,"b":{"c":3}},{"a":2,"b":{"c":2}}]},"tags":["y","x"]}})");
  EXPECT_FALSE(told.matches);
  const auto& branch = told.branches[0];
  EXPECT_EQ(branch.apart, (std::vector<std::string>{"data.shop.rows.a", "data.shop.rows.b.c"}));
  EXPECT_EQ(branch.array, "data.shop.rows");
  for (const auto& field : branch.fields) EXPECT_TRUE(field.holds) << field.path;
}

TEST(PatternExplained, TellsOfEachBranch) {
  const auto told = explained(R"({"$or":[{"type":["a"]},{"subject":[{"exists":true}]}]})",
                              R"({"type":"b","subject":"s"})");
  EXPECT_TRUE(told.matches);
  ASSERT_EQ(told.branches.size(), 2u);
  EXPECT_FALSE(told.branches[0].matches);
  EXPECT_TRUE(told.branches[1].matches);
}

TEST(PatternExplained, SaysThatAnObjectIsNoValueAndCountsWhatItDoesNotShow) {
  const auto told = explained(R"({"data":{"a":[1],"b":[0]}})",
                              R"({"data":{"a":{"c":1},"b":[1,2,3,4,5,6,7,8,9,10]}})");
  EXPECT_TRUE(told.branches[0].fields[0].is_object);
  EXPECT_EQ(told.branches[0].fields[1].found.size(), kFoundMax);
  EXPECT_EQ(told.branches[0].fields[1].found_more, 2u);
}

TEST(PatternExplained, PutsAlternativesIntoWords) {
  EXPECT_EQ(words_of(R"({"suffix":{"equals-ignore-case":".PNG"}})"),
            R"(suffix ".png" in any case)");
  EXPECT_EQ(words_of(R"({"wildcard":"a\\*b*"})"), R"(wildcard "a\\*b*")");
  EXPECT_EQ(words_of(R"({"numeric":[">",0,"<=",5.5]})"), "a number > 0 and <= 5.5");
  EXPECT_EQ(words_of(R"({"numeric":["<",3]})"), "a number < 3");
  EXPECT_EQ(words_of(R"({"numeric":["=",3]})"), "a number = 3");
  EXPECT_EQ(words_of(R"({"anything-but":["a",1]})"), R"(anything but "a", 1)");
  EXPECT_EQ(words_of(R"({"cidr":"10.1.0.0/16"})"), "an address in 10.1.0.0/16");
  EXPECT_EQ(words_of(R"({"exists":false})"), "no value");
  EXPECT_EQ(words_of("null"), "null");
}

TEST(PatternExplained, RefusesWhatIsNoObject) {
  const auto compiled = compile_pattern(R"({"type":["a"]})");
  for (const auto json : {"", "5", "[]", "{"}) EXPECT_FALSE(explain(*compiled, json)) << json;
}

#ifdef FANFARE_SANITIZED
constexpr std::uint64_t kExplained = 100;
#else
constexpr std::uint64_t kExplained = 600;
#endif

TEST(PatternExplained, SaysTheSameAsMatching) {
  for (std::uint64_t seed = 1; seed <= kExplained; ++seed) {
    RandomPatterns random(seed);
    const std::string text = random.pattern();
    const auto pattern = compile_pattern(text);
    if (!pattern) continue;
    const std::string packed = pack(random.event());
    const std::string view = to_pattern_json(*view_event(packed));
    const auto told = explain(*pattern, view);
    ASSERT_TRUE(told) << told.error().message;
    EXPECT_EQ(told->matches, matches(*pattern, view)) << text << '\n' << view;
    for (const auto& branch : told->branches) {
      const bool all = std::ranges::all_of(branch.fields, &FieldExplained::holds);
      EXPECT_EQ(branch.matches, all && branch.apart.empty()) << text << '\n' << view;
    }
  }
}

}  // namespace
}  // namespace fanfare::protocol
