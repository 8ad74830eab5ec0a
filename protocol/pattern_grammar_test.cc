// What each operator of a pattern means, and how fields, arrays and branches go together.
#include <gtest/gtest.h>

#include "protocol/cidr.h"
#include "protocol/fold_case.h"
#include "protocol/pattern.h"

namespace fanfare::protocol {
namespace {

bool means(std::string_view pattern, std::string_view json) {
  const auto compiled = compile_document_pattern(pattern);
  EXPECT_TRUE(compiled) << compiled.error().message;
  return compiled && matches(*compiled, json);
}

// Of a field "a" with one alternative.
bool is(std::string_view alternative, std::string_view value) {
  return means(R"({"a":[)" + std::string(alternative) + "]}",
               R"({"a":)" + std::string(value) + "}");
}

void expect_refused(std::string_view alternative, std::string_view because) {
  const auto compiled =
      compile_document_pattern(R"({"a":{"b":[)" + std::string(alternative) + "]}}");
  ASSERT_FALSE(compiled) << alternative;
  EXPECT_NE(compiled.error().message.find("'a.b'"), std::string::npos) << compiled.error().message;
  EXPECT_NE(compiled.error().message.find(because), std::string::npos) << compiled.error().message;
}

TEST(PatternOperators, PrefixAndSuffixLookAtTheEndsOfATextAlone) {
  EXPECT_TRUE(is(R"({"prefix":"ab"})", R"("abc")"));
  EXPECT_TRUE(is(R"({"prefix":""})", R"("")"));
  EXPECT_FALSE(is(R"({"prefix":"ab"})", R"("Abc")"));
  EXPECT_TRUE(is(R"({"suffix":".png"})", R"("a.png")"));
  EXPECT_FALSE(is(R"({"suffix":".png"})", R"("a.PNG")"));
  EXPECT_FALSE(is(R"({"suffix":"12"})", "12"));
  EXPECT_TRUE(is(R"({"prefix":{"equals-ignore-case":"Ab"}})", R"("aBc")"));
  EXPECT_TRUE(is(R"({"suffix":{"equals-ignore-case":".png"}})", R"("a.PNG")"));
  expect_refused(R"({"prefix":5})", "takes a text");
  expect_refused(R"({"suffix":{"prefix":"a"}})", "takes a text");
}

TEST(PatternOperators, CaseIsIgnoredInAllAlphabetsThatHaveOne) {
  EXPECT_TRUE(is(R"({"equals-ignore-case":"alice"})", R"("ALIce")"));
  EXPECT_TRUE(is(R"({"equals-ignore-case":"ÄGÄIS"})", R"("ägäis")"));
  EXPECT_TRUE(is(R"({"equals-ignore-case":"привет"})", R"("ПРИВЕТ")"));
  EXPECT_FALSE(is(R"({"equals-ignore-case":"straße"})", R"("STRASSE")"));
  EXPECT_FALSE(is(R"({"equals-ignore-case":"a"})", R"("á")"));
  expect_refused(R"({"equals-ignore-case":["a"]})", "takes a text");
}

TEST(PatternOperators, FoldingLeavesWhatIsNoUtf8AsItIs) {
  EXPECT_EQ(fold_case("A\xC3\xFFZ\xE2\x82"), "a\xC3\xFFz\xE2\x82");
  EXPECT_EQ(fold_case("\xF0\x9F\x98\x80X"), "\xF0\x9F\x98\x80x");
}

TEST(PatternOperators, WildcardsFindTheirPiecesInOrder) {
  EXPECT_TRUE(is(R"({"wildcard":"a*c"})", R"("abc")"));
  EXPECT_TRUE(is(R"({"wildcard":"a*c"})", R"("ac")"));
  EXPECT_FALSE(is(R"({"wildcard":"a*c"})", R"("abcd")"));
  EXPECT_FALSE(is(R"({"wildcard":"aba*aba"})", R"("ababa")")) << "its ends must not share a letter";
  EXPECT_TRUE(is(R"({"wildcard":"*.jpg"})", R"("x/y.jpg")"));
  EXPECT_TRUE(is(R"({"wildcard":"*"})", R"("")"));
  EXPECT_TRUE(is(R"({"wildcard":"a*b*c*d"})", R"("a-bb-bcc-d")"));
  EXPECT_FALSE(is(R"({"wildcard":"a*b*c*d"})", R"("a-cc-b-d")"));
  EXPECT_TRUE(is(R"({"wildcard":"exact"})", R"("exact")"));
  EXPECT_TRUE(is(R"({"wildcard":"a\\*b"})", R"("a*b")"));
  EXPECT_FALSE(is(R"({"wildcard":"a\\*b"})", R"("axb")"));
  EXPECT_TRUE(is(R"({"wildcard":"a\\\\*"})", R"("a\\b")"));
  EXPECT_TRUE(is(R"({"wildcard":"\\**\\*"})", R"("*x*")"))
      << "a star that is meant, and one that is not";
  EXPECT_FALSE(is(R"({"wildcard":"*"})", "5"));
}

TEST(PatternOperators, WildcardsThatAreWrongOrCostTooMuchAreRefused) {
  expect_refused(R"({"wildcard":"a**b"})", "two stars");
  expect_refused(R"({"wildcard":"a\\b"})", "backslash");
  expect_refused(R"({"wildcard":"a\\"})", "backslash");
  expect_refused(R"({"wildcard":"*a*b*c*d*e*f*g*h*"})", "at most 8 stars");
}

TEST(PatternOperators, AnythingButWantsAValueThatIsNoneOfThem) {
  EXPECT_TRUE(is(R"({"anything-but":{"prefix":"a"}})", R"("b")"));
  EXPECT_FALSE(is(R"({"anything-but":{"prefix":["b","a"]}})", R"("ab")"));
  EXPECT_FALSE(is(R"({"anything-but":{"suffix":".tmp"}})", R"("x.tmp")"));
  EXPECT_FALSE(is(R"({"anything-but":{"equals-ignore-case":["x","Y"]}})", R"("y")"));
  EXPECT_TRUE(is(R"({"anything-but":{"wildcard":"*/tmp/*"}})", R"("/home/a")"));
  EXPECT_FALSE(is(R"({"anything-but":{"wildcard":["*/tmp/*","/x*"]}})", R"("/var/tmp/a")"));
  EXPECT_TRUE(is(R"({"anything-but":{"prefix":"5"}})", "5")) << "a number is no text";
  EXPECT_FALSE(means(R"({"a":[{"anything-but":{"prefix":"a"}}]})", R"({"b":"b"})"));
  expect_refused(R"({"anything-but":{"numeric":[">",5]}})", "anything-but");
  expect_refused(R"({"anything-but":{"prefix":[]}})", "anything-but");
  expect_refused(R"({"anything-but":[["a"]]})", "anything-but");
}

TEST(PatternOperators, AddressesLieInRanges) {
  EXPECT_TRUE(is(R"({"cidr":"10.0.0.0/24"})", R"("10.0.0.255")"));
  EXPECT_FALSE(is(R"({"cidr":"10.0.0.0/24"})", R"("10.0.1.0")"));
  EXPECT_TRUE(is(R"({"cidr":"10.0.0.77/30"})", R"("10.0.0.78")")) << "bits behind the prefix";
  EXPECT_FALSE(is(R"({"cidr":"10.0.0.77/30"})", R"("10.0.0.80")"));
  EXPECT_TRUE(is(R"({"cidr":"0.0.0.0/0"})", R"("255.1.2.3")"));
  EXPECT_FALSE(is(R"({"cidr":"0.0.0.0/0"})", R"("::1")"));
  EXPECT_TRUE(is(R"({"cidr":"2001:db8::/33"})", R"("2001:DB8:7fff::1")"));
  EXPECT_FALSE(is(R"({"cidr":"2001:db8::/33"})", R"("2001:db8:8000::1")"));
  EXPECT_TRUE(is(R"({"cidr":"192.168.1.1"})", R"("192.168.1.1")"));
  EXPECT_FALSE(is(R"({"cidr":"10.0.0.0/8"})", R"("10.0.0")"));
  EXPECT_FALSE(is(R"({"cidr":"10.0.0.0/8"})", "10"));
  for (const auto bad : {R"({"cidr":"10.0.0.0/33"})", R"({"cidr":"10.0.0/8"})", R"({"cidr":"x"})",
                         R"({"cidr":"10.0.0.0/"})", R"({"cidr":"10.0.0.0/8x"})", R"({"cidr":8})",
                         R"({"cidr":"::1/129"})", R"({"cidr":"10.0.0.0/-1"})"}) {
    expect_refused(bad, "takes a range");
  }
  EXPECT_FALSE(parse_cidr(std::string("10.0.0.1\0", 9))->contains("10.0.0.2"));
}

TEST(PatternOperators, WhatIsKeptForLaterAndWhatIsUnknownIsRefused) {
  expect_refused(R"({"regex":"a"})", "no \"regex\" yet");
  expect_refused(R"({"sounds-like":"a"})", "is not an alternative");
  expect_refused(R"({"prefix":"a","suffix":"b"})", "is not an alternative");
  expect_refused(R"(["a"])", "is not an alternative");
}

TEST(PatternArrays, FieldsMatchInTheSameElementAndNeverInDifferentOnes) {
  constexpr std::string_view kPattern = R"({"users":{"name":["ann"],"role":["admin"]}})";
  EXPECT_TRUE(means(kPattern,
                    R"({"users":[{"name":"bob","role":"guest"},{"name":"ann","role":"admin"}]})"));
  EXPECT_FALSE(means(kPattern,
                     R"({"users":[{"name":"ann","role":"guest"},{"name":"bob","role":"admin"}]})"));
  EXPECT_TRUE(means(kPattern, R"({"users":{"name":"ann","role":"admin"}})"));
  EXPECT_TRUE(means(R"({"users.name":["ann"],"users":{"role":["admin"]}})",
                    R"({"users":[{"name":"ann","role":["guest","admin"]}]})"));
}

TEST(PatternArrays, OfDifferentFieldsAreIndependent) {
  constexpr std::string_view kPattern = R"({"a":{"n":[1]},"b":{"n":[2]}})";
  EXPECT_TRUE(means(kPattern, R"({"a":[{"n":0},{"n":1}],"b":[{"n":2},{"n":0}]})"));
}

TEST(PatternArrays, OfArraysAreLookedThrough) {
  EXPECT_TRUE(means(R"({"a":{"b":[3]}})", R"({"a":[[{"b":1}],[{"b":2},{"b":3}]]})"));
  constexpr std::string_view kPattern = R"({"a":{"b":{"x":[1],"y":[2]},"c":[9]}})";
  EXPECT_TRUE(means(kPattern, R"({"a":[{"b":[{"x":1,"y":2}],"c":9}]})"));
  EXPECT_FALSE(means(kPattern, R"({"a":[{"b":[{"x":1,"y":2}],"c":8},{"b":[],"c":9}]})"));
}

TEST(PatternArrays, WhatIsInNoElementIsNotThere) {
  constexpr std::string_view kPattern = R"({"a":{"b":[1],"c":[{"exists":false}]}})";
  EXPECT_TRUE(means(kPattern, R"({"a":[{"b":1},{"b":2}]})"));
  EXPECT_FALSE(means(kPattern, R"({"a":[{"b":1},{"c":3}]})"));
}

TEST(PatternBranches, OneObjectOfOrIsEnough) {
  constexpr std::string_view kPattern =
      R"({"kind":["x"],"$or":[{"size":[{"numeric":[">",5]}]},{"big":[true]}]})";
  EXPECT_TRUE(means(kPattern, R"({"kind":"x","size":6})"));
  EXPECT_TRUE(means(kPattern, R"({"kind":"x","size":1,"big":true})"));
  EXPECT_FALSE(means(kPattern, R"({"kind":"x","size":1})"));
  EXPECT_FALSE(means(kPattern, R"({"kind":"y","size":6})"));
}

TEST(PatternBranches, OrMayStandInFieldsAndInItself) {
  constexpr std::string_view kPattern =
      R"({"a":{"$or":[{"b":[1]},{"$or":[{"c":[2]},{"d":[3]}],"e":[4]}]}})";
  EXPECT_TRUE(means(kPattern, R"({"a":{"b":1}})"));
  EXPECT_TRUE(means(kPattern, R"({"a":{"d":3,"e":4}})"));
  EXPECT_FALSE(means(kPattern, R"({"a":{"d":3}})"));
  EXPECT_FALSE(means(kPattern, R"({"b":1})"));
}

TEST(PatternBranches, OrThatIsWrongOrMultipliesIsRefused) {
  for (const auto bad :
       {R"({"$or":[{"a":[1]}]})", R"({"$or":{"a":[1]}})", R"({"$or":[{"a":[1]},5]})",
        R"({"$or":[{"a":[1]},{}]})", R"({"$or":[]})"}) {
    const auto compiled = compile_document_pattern(bad);
    ASSERT_FALSE(compiled) << bad;
    EXPECT_NE(compiled.error().message.find("'$or'"), std::string::npos);
  }
  std::string many = R"({"x":[1])";
  for (int i = 0; i < 7; ++i) {
    many += R"(,"f)" + std::to_string(i) + R"(":{"$or":[{"a":[1]},{"b":[1]}]})";
  }
  const auto compiled = compile_document_pattern(many + "}");
  ASSERT_FALSE(compiled);
  EXPECT_NE(compiled.error().message.find("over 64 combinations"), std::string::npos);
}

TEST(PatternKeys, OfTwoThatAreTheSameTheLastCounts) {
  EXPECT_TRUE(means(R"({"a":[1],"a":[2]})", R"({"a":2})"));
  EXPECT_FALSE(means(R"({"a":[1],"a":[2]})", R"({"a":1})"));
}

TEST(PatternNumbers, CompareAsNumbersHoweverTheyAreWritten) {
  for (const auto value : {"300", "300.0", "3.0e2"}) EXPECT_TRUE(is("300", value)) << value;
  EXPECT_FALSE(is("300", R"("300")"));
  EXPECT_TRUE(is("18446744073709551615", "18446744073709551615"));
  EXPECT_TRUE(is(R"({"numeric":["<",0]})", "-9223372036854775808"));
}

TEST(PatternsOverEvents, LookAtAttributesAndWithinData) {
  const auto compiled = compile_pattern(
      R"({"type":[{"suffix":".placed"}],"$or":[{"data":{"n":[1]}},{"subject":["x"]}]})");
  ASSERT_TRUE(compiled) << compiled.error().message;
  EXPECT_TRUE(matches(*compiled, R"({"type":"order.placed","data":{"n":1}})"));
  EXPECT_TRUE(matches(*compiled, R"({"type":"order.placed","subject":"x"})"));
  EXPECT_FALSE(matches(*compiled, R"({"type":"order.placed","n":1})"));
  EXPECT_FALSE(matches(*compiled, R"({"type":"order","subject":"x"})"));
  const auto whole = compile_pattern(R"({"data":[{"prefix":"a"},{"exists":false}]})");
  ASSERT_TRUE(whole);
  EXPECT_TRUE(matches(*whole, R"({"type":"t","data":"abc"})"));
  EXPECT_TRUE(matches(*whole, R"({"type":"t"})"));
  EXPECT_FALSE(matches(*whole, R"({"type":"t","data":"b"})"));
}

}  // namespace
}  // namespace fanfare::protocol
