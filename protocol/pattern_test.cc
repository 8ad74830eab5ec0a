#include "protocol/pattern.h"

#include <gtest/gtest.h>

namespace fanfare::protocol {
namespace {

TEST(Pattern, RefusesWhatNoAttributeCouldEverBe) {
  for (const std::string_view bad :
       {R"({"type":[1]})", R"({"type":["a",null]})", R"({"subject":[true]})",
        R"({"time":[{"numeric":[">",1]}]})", R"({"id":[{"anything-but":[1]}]})"}) {
    const auto compiled = compile_pattern(bad);
    ASSERT_FALSE(compiled) << bad;
    EXPECT_NE(compiled.error().message.find("attributes are text"), std::string::npos) << bad;
  }
  const auto nested = compile_pattern(R"({"source":{"host":["a"]}})");
  ASSERT_FALSE(nested);
  EXPECT_NE(nested.error().message.find("'source.host': only data"), std::string::npos);
  EXPECT_TRUE(compile_pattern(R"({"data":[1,null],"type":["1"]})"));
}

TEST(Pattern, RefusesWhatItCannotKeepAndNamesTheField) {
  for (const std::string_view bad :
       {R"({"data":{"n":[{"regex":"x"}]}})", R"({"data":{"n":[]}})", R"({"data":{"n":5}})",
        R"({"data":{"n":[[1]]}})", R"({"data":{"n":[{"prefix":"a","exists":true}]}})",
        R"({"data":{"n":[{"exists":"yes"}]}})", R"({"data":{"n":[{"anything-but":[]}]}})",
        R"({"data":{"n":[{"anything-but":[{"prefix":"a"}]}]}})", R"({"data":{"n":[{"suffix":5}]}})",
        R"({"data":{"n":[{"numeric":["=","1"]}]}})", R"({"data":{"n":[{"numeric":["!=",1]}]}})",
        R"({"data":{"n":[{"numeric":["<",1,">",5]}]}})",
        R"({"data":{"n":[{"numeric":[">",5,"<=",5]}]}})",
        R"({"data":{"n":[{"numeric":["",5,"",5]}]}})", R"({"data":{"n":[{"numeric":[">"]}]}})"}) {
    const auto compiled = compile_pattern(bad);
    ASSERT_FALSE(compiled) << bad;
    EXPECT_NE(compiled.error().message.find("data.n"), std::string::npos)
        << compiled.error().message;
  }
  EXPECT_FALSE(compile_pattern("{}"));
  EXPECT_FALSE(compile_pattern("[]"));
  EXPECT_FALSE(compile_pattern("{"));
}

bool holds(std::string_view pattern, std::string_view json) {
  const auto compiled = compile_document_pattern(pattern);
  EXPECT_TRUE(compiled) << compiled.error().message;
  return compiled && matches(*compiled, json);
}

TEST(Pattern, FieldsAreAllToHoldAndAlternativesAnyOfThem) {
  constexpr std::string_view kPattern =
      R"({"reason":["expired","not_retryable"],"error":{"type":[{"prefix":"Time"}]}})";
  EXPECT_TRUE(holds(kPattern, R"({"reason":"expired","error":{"type":"TimeoutError"}})"));
  EXPECT_FALSE(holds(kPattern, R"({"reason":"worker_losses","error":{"type":"TimeoutError"}})"));
  EXPECT_FALSE(holds(kPattern, R"({"reason":"expired","error":{"type":"Other"}})"));
  EXPECT_FALSE(holds(kPattern, R"({"reason":"expired"})"));
  EXPECT_TRUE(holds(R"({"a.b":[1]})", R"({"a":{"b":1.0}})"));
}

TEST(Pattern, ThatIsNestedWithoutEndIsRefusedInFewWords) {
  const std::string brackets(30'000, '[');
  const auto deep = compile_pattern(R"({"data":)" + brackets + std::string(30'000, ']') + "}");
  ASSERT_FALSE(deep);
  EXPECT_LT(deep.error().message.size(), 200u);
  const auto wide =
      compile_pattern(R"({"data":[{"prefix":")" + std::string(60'000, 'x') + R"(","suffix":1}]})");
  ASSERT_FALSE(wide);
  EXPECT_LT(wide.error().message.size(), 500u);
  const auto name = compile_pattern(R"({")" + std::string(60'000, 'x') + R"(":1})");
  ASSERT_FALSE(name);
  EXPECT_LT(name.error().message.size(), 500u);
}

TEST(Pattern, ArraysMatchByOneElement) {
  EXPECT_TRUE(holds(R"({"tags":["red"]})", R"({"tags":["blue","red"]})"));
  EXPECT_FALSE(holds(R"({"tags":["red"]})", R"({"tags":["blue"]})"));
  EXPECT_TRUE(holds(R"({"n":[{"numeric":[">",5]}]})", R"({"n":[1,{"n":9},6]})"));
  EXPECT_TRUE(holds(R"({"tags":[{"anything-but":"red"}]})", R"({"tags":["red","blue"]})"));
  EXPECT_FALSE(holds(R"({"tags":[{"anything-but":"red"}]})", R"({"tags":["red"]})"));
}

TEST(Pattern, ExistsLooksAtValuesOnly) {
  constexpr std::string_view kThere = R"({"a":{"b":[{"exists":true}]}})";
  constexpr std::string_view kAbsent = R"({"a":{"b":[{"exists":false}]}})";
  for (const auto json : {R"({"a":{"b":null}})", R"({"a":{"b":""}})", R"({"a":{"b":[0]}})"}) {
    EXPECT_TRUE(holds(kThere, json)) << json;
    EXPECT_FALSE(holds(kAbsent, json)) << json;
  }
  for (const auto json : {R"({"a":{}})", R"({})", R"({"a":5})", R"({"a":{"b":{"c":1}}})",
                          R"({"a":{"b":[]}})", R"({"a":{"b":[{}]}})"}) {
    EXPECT_FALSE(holds(kThere, json)) << json;
    EXPECT_TRUE(holds(kAbsent, json)) << json;
  }
  EXPECT_TRUE(holds(R"({"a":[1,{"exists":false}]})", R"({"b":1})"));
}

TEST(Pattern, AnythingButWantsAValue) {
  constexpr std::string_view kPattern = R"({"a":[{"anything-but":["x",5,null]}]})";
  EXPECT_TRUE(holds(kPattern, R"({"a":"y"})"));
  EXPECT_TRUE(holds(kPattern, R"({"a":true})"));
  EXPECT_FALSE(holds(kPattern, R"({"a":"x"})"));
  EXPECT_FALSE(holds(kPattern, R"({"a":5.0})"));
  EXPECT_FALSE(holds(kPattern, R"({"a":null})"));
  EXPECT_FALSE(holds(kPattern, R"({"b":1})"));
}

TEST(Pattern, NumericRangesKeepTheirEnds) {
  const auto in = [](std::string_view range, std::string_view number) {
    return holds(std::string(R"({"n":[{"numeric":)") + std::string(range) + "}]}",
                 std::string(R"({"n":)") + std::string(number) + "}");
  };
  EXPECT_TRUE(in(R"([">",0,"<=",5])", "5"));
  EXPECT_FALSE(in(R"([">",0,"<=",5])", "0"));
  EXPECT_FALSE(in(R"([">",0,"<=",5])", "5.01"));
  EXPECT_TRUE(in(R"([">=",5,"<=",5])", "5"));
  EXPECT_TRUE(in(R"(["<",-1])", "-1.5e300"));
  EXPECT_FALSE(in(R"(["<",-1])", "-1"));
  EXPECT_TRUE(in(R"(["=",3])", "3.0"));
  EXPECT_FALSE(in(R"(["=",3])", "3.1"));
  EXPECT_FALSE(in(R"(["=",3])", "\"3\""));
}

TEST(Pattern, WhatIsNotAnObjectMatchesNothing) {
  for (const auto json : {"", "nothing", "[]", "5", "{\"a\":"}) {
    EXPECT_FALSE(holds(R"({"a":[{"exists":false}]})", json)) << json;
  }
}

}  // namespace
}  // namespace fanfare::protocol
