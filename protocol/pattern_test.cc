#include "protocol/pattern.h"

#include <gtest/gtest.h>

namespace fanfare::protocol {
namespace {

TEST(Pattern, RefusesWhatNoAttributeCouldEverBe) {
  for (const std::string_view bad :
       {R"({"type":[1]})", R"({"type":["a",null]})", R"({"subject":[true]})"}) {
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
       {R"({"data":{"n":[{"numeric":["=",1]}]}})", R"({"data":{"n":[]}})", R"({"data":{"n":5}})",
        R"({"data":{"n":[[1]]}})"}) {
    const auto compiled = compile_pattern(bad);
    ASSERT_FALSE(compiled) << bad;
    EXPECT_NE(compiled.error().message.find("data.n"), std::string::npos)
        << compiled.error().message;
  }
  EXPECT_FALSE(compile_pattern("{}"));
  EXPECT_FALSE(compile_pattern("[]"));
  EXPECT_FALSE(compile_pattern("{"));
}

}  // namespace
}  // namespace fanfare::protocol
