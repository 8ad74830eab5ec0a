#include "cli/output.h"

#include <gtest/gtest.h>

namespace fanfare::cli {
namespace {

TEST(FormatTable, AlignsColumnsByCharactersNotBytes) {
  EXPECT_EQ(format_table({"NAME", "STATE"}, {{"naïve", "active"}, {"x", "paused"}}, false),
            "NAME   STATE\nnaïve  active\nx      paused\n");
}

TEST(FormatTable, LetsNoCellControlTheTerminal) {
  EXPECT_EQ(format_table({"A"}, {{"\x1b[2Jgone\n"}}, false), "A\n?[2Jgone?\n");
}

TEST(PrintError, KeepsTheLinesOfAMessageAndNothingElseThatControls) {
  ::testing::internal::CaptureStderr();
  print_error(Output{}, "the broker ended\nerror: \x1b[2Jno Redis");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "fanfare: error: the broker ended\n  error: ?[2Jno Redis\n");
}

TEST(Fail, DoesNotAskWhetherItRunsWhereNobodyMayLook) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(fail(Output{}, reconnect("no broker at /d (Permission denied)")), kUnreachable);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "fanfare: error: no broker at /d (Permission denied)\n"
            "  Run this as the user whose installation it is, or as root.\n");
}

TEST(Paint, ColoursOnlyWhenAsked) {
  EXPECT_EQ(paint(Colour::kRed, "x", false), "x");
  EXPECT_EQ(paint(Colour::kRed, "x", true), "\x1b[31mx\x1b[0m");
}

TEST(HumanMs, ChoosesTheUnit) {
  EXPECT_EQ(human_ms(1.25), "1.2 ms");
  EXPECT_EQ(human_ms(35), "35 ms");
  EXPECT_EQ(human_ms(1500), "1.5 s");
  EXPECT_EQ(human_ms(240'000), "4 min");
  EXPECT_EQ(human_ms(10'000'000), "3 h");
}

TEST(ExitCodeOf, FollowsTheKindOfTheError) {
  EXPECT_EQ(exit_code_of(reconnect("")), kUnreachable);
  EXPECT_EQ(exit_code_of(retry_later("")), kRefused);
  EXPECT_EQ(exit_code_of(reject("")), kRefused);
  EXPECT_EQ(exit_code_of(fatal("")), kUsage);
}

TEST(Repainted, WritesOverEachLineAndWipesOnlyWhatIsLeft) {
  EXPECT_EQ(repainted("a\nbb\n", 24), "\x1b[Ha\x1b[K\nbb\x1b[K\x1b[J");
  EXPECT_EQ(repainted("a\nb\nc\n", 2), "\x1b[Ha\x1b[K\nb\x1b[K\x1b[J") << "no more than fit";
}

}  // namespace
}  // namespace fanfare::cli
