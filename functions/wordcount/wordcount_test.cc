#include <gtest/gtest.h>

#include "functions/testing/function_runner.h"

namespace {

class WordcountTest : public ::testing::Test {
 protected:
  static std::string count(const std::string& text) {
    auto runner = fanfare::testing::FunctionRunner::start(std::string(FANFARE_BIN_DIR) +
                                                          "/../functions/wordcount/wordcount.so");
    if (!runner) return runner.error().message;
    return (*runner)->run("text.submitted", text).output;
  }
};

TEST_F(WordcountTest, CountsLikeWc) {
  EXPECT_EQ(count("one two\nthree\n"), R"({"lines":2,"words":3,"bytes":14})");
}

TEST_F(WordcountTest, CountsNothingInNothing) {
  EXPECT_EQ(count(""), R"({"lines":0,"words":0,"bytes":0})");
}

TEST_F(WordcountTest, TakesRunsOfSpaceForOne) {
  EXPECT_EQ(count(" \t a \r\n\v b"), R"({"lines":1,"words":2,"bytes":10})");
}

}  // namespace
