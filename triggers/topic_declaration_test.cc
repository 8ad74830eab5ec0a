#include "triggers/topic_declaration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fanfare::triggers {
namespace {

using ::testing::HasSubstr;

TEST(TopicDeclaration, RemarksOnWhoIsNotDeployed) {
  EXPECT_THAT(remark_on(R"({"topics":2,"changed":0,"not_deployed":["bill","mail"]})"),
              HasSubstr("not deployed: bill, mail; once one is"));
  const std::string many =
      remark_on(R"({"not_deployed":["a","b","c","d","e","f","g","h","i","j","k","l"]})");
  EXPECT_THAT(many, HasSubstr("i, j and 2 more; once"));
  // A broker of a version before this says nothing of it.
  for (const char* answer : {R"({"topics":2,"changed":0,"not_deployed":[]})",
                             R"({"topics":2,"changed":0})", "[]", "", "7"}) {
    EXPECT_EQ(remark_on(answer), "") << answer;
  }
}

}  // namespace
}  // namespace fanfare::triggers
