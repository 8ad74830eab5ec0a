// `fanfare pattern test` as a shell sees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/child_output.h"
#include "cli/exit_code.h"
#include "tests/support/temp_dir.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class PatternCommand : public ::testing::Test {
 protected:
  std::string file(const std::string& name, std::string_view content) {
    const std::string path = dir_.path() / name;
    std::ofstream(path) << content;
    return path;
  }

  static ChildOutput pattern_test(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {FANFARE_BIN_DIR "/fanfare", "pattern", "test"});
    auto ended = run_and_capture(arguments, 30s);
    EXPECT_TRUE(ended);
    return *std::move(ended);
  }

  fanfare::test::TempDir dir_;
};

TEST_F(PatternCommand, SaysThatAnEventMatches) {
  const std::string event = file("event.json", R"({"type":"order.placed","data":{"n":5}})");
  const std::string pattern = R"({"type":[{"prefix":"order."}],"data":{"n":[5]}})";
  const auto by_text = pattern_test({"--pattern", pattern, "--event", event});
  EXPECT_EQ(by_text.exit_code, kDone) << by_text.output;
  EXPECT_EQ(by_text.output, "match\n");
  const auto by_file = pattern_test({"--pattern", file("pattern.json", pattern), "--event", event});
  EXPECT_EQ(by_file.exit_code, kDone) << by_file.output;
}

TEST_F(PatternCommand, SaysWhichFieldDoesNotAndWhatIsThere) {
  const auto ended = pattern_test({"--pattern", R"({"type":["a",{"prefix":"b"}],"data":{"n":[5]}})",
                                   "--event", file("event.json", R"({"type":"c","data":{}})")});
  EXPECT_EQ(ended.exit_code, kFailed);
  EXPECT_EQ(ended.output,
            "no match\n"
            "  type: wanted \"a\" or prefix \"b\", is \"c\"\n"
            "  data.n: wanted 5, is not there\n");
}

TEST_F(PatternCommand, TellsOfEachWayThroughOrAndOfElementsOfArrays) {
  const auto ended = pattern_test(
      {"--pattern", R"({"$or":[{"type":["a"]},{"data":{"r":{"x":[1],"y":[2]}}}]})", "--event",
       file("event.json", R"({"type":"c","data":{"r":[{"x":1},{"y":2}]}})")});
  EXPECT_EQ(ended.exit_code, kFailed);
  EXPECT_THAT(ended.output, HasSubstr("way 1 of 2 through \"$or\": no match\n"
                                      "    type: wanted \"a\", is \"c\"\n"));
  EXPECT_THAT(ended.output, HasSubstr("data.r.x, data.r.y: each matches, but never in the same "
                                      "element of the array data.r"));
}

TEST_F(PatternCommand, TakesCloudEventsAndLeavesOutDataThatIsNoJson) {
  const std::string event = file(
      "event.json",
      R"({"specversion":"1.0","id":"1","source":"/s","type":"t","region":"north","datacontenttype":"text/plain","data":"5"})");
  EXPECT_EQ(pattern_test({"--pattern", R"({"region":["north"]})", "--event", event}).exit_code,
            kDone);
  EXPECT_EQ(
      pattern_test({"--pattern", R"({"data":[{"exists":true}]})", "--event", event}).exit_code,
      kFailed);
}

TEST_F(PatternCommand, GivesTheSameAsData) {
  const auto ended =
      pattern_test({"--json", "--pattern", R"({"data":{"r":{"x":[1],"y":[2]}}})", "--event",
                    file("event.json", R"({"data":{"r":[{"x":1},{"y":2}]}})")});
  EXPECT_EQ(ended.exit_code, kFailed);
  const auto json = nlohmann::json::parse(ended.output);
  EXPECT_EQ(json["match"], false);
  EXPECT_EQ(json["branches"][0]["apart"]["array"], "data.r");
  EXPECT_EQ(json["branches"][0]["fields"][0]["field"], "data.r.x");
  EXPECT_EQ(json["branches"][0]["fields"][0]["match"], true);
  EXPECT_EQ(json["branches"][0]["fields"][0]["found"][0], 1);
}

TEST_F(PatternCommand, NamesWhatIsWrongWithAPatternOrAnEvent) {
  const std::string event = file("event.json", R"({"type":"t"})");
  const auto pattern =
      pattern_test({"--pattern", R"({"data":{"n":[{"regex":"x"}]}})", "--event", event});
  EXPECT_EQ(pattern.exit_code, kUsage);
  EXPECT_THAT(pattern.output, HasSubstr("data.n"));
  const auto file_name = pattern_test({"--pattern", "/no/such/file", "--event", event});
  EXPECT_EQ(file_name.exit_code, kUsage);
  EXPECT_THAT(file_name.output, HasSubstr("/no/such/file"));
  const auto no_event =
      pattern_test({"--pattern", R"({"type":["t"]})", "--event", file("bad", "[1]")});
  EXPECT_EQ(no_event.exit_code, kUsage);
  EXPECT_THAT(no_event.output, HasSubstr("JSON object"));
  EXPECT_EQ(pattern_test({"--event", event}).exit_code, kUsage);
  EXPECT_EQ(pattern_test({"--pattern", "-", "--event", "-"}).exit_code, kUsage);
}

}  // namespace
}  // namespace fanfare::cli
