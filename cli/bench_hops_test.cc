#include "cli/bench_hops.h"

#include <gtest/gtest.h>

#include <string_view>

namespace fanfare::cli {
namespace {

using protocol::Hop;

TraceFile::Record at(std::uint64_t entry, Hop hop, std::int64_t us) {
  return {.high = 1, .low = entry, .point = static_cast<std::uint32_t>(hop), .at_ns = us * 1000};
}

const HopRow& row(const std::vector<HopRow>& rows, std::string_view name) {
  for (const HopRow& one : rows) {
    if (std::string_view(one.name).starts_with(name)) return one;
  }
  throw std::out_of_range(std::string(name));
}

TEST(BenchHops, TakesTheTimeBetweenTwoPointsOfAnEvent) {
  const auto rows = hop_rows({at(1, Hop::kPublished, 100), at(2, Hop::kPublished, 200)},
                             {at(1, Hop::kArrived, 130), at(2, Hop::kArrived, 250)});
  EXPECT_DOUBLE_EQ(row(rows, "publish:").us.p99, 50);
  EXPECT_EQ(row(rows, "publish:").events, 2u);
  EXPECT_EQ(row(rows, "journal:").events, 0u);
}

TEST(BenchHops, LeavesOutWhatOthersHavePublished) {
  const auto rows =
      hop_rows({at(1, Hop::kPublished, 100)}, {at(7, Hop::kEntered, 500), at(7, Hop::kLeft, 600)});
  EXPECT_EQ(row(rows, "handler").events, 0u);
}

TEST(BenchHops, CountsTheFirstOfSeveralInstants) {
  const auto rows = hop_rows({at(1, Hop::kPublished, 100)},
                             {at(1, Hop::kEntered, 500), at(1, Hop::kEntered, 300)});
  EXPECT_DOUBLE_EQ(row(rows, "publish to handler").us.p50, 200);
}

TEST(BenchHops, KnowsWhatOverlaps) {
  // It has run before the journal has it.
  const auto rows = hop_rows({at(1, Hop::kPublished, 100)},
                             {at(1, Hop::kWritten, 120), at(1, Hop::kJournaled, 900),
                              at(1, Hop::kResult, 300), at(1, Hop::kCommitted, 1100)});
  EXPECT_DOUBLE_EQ(row(rows, "journal:").us.p50, 780);
  EXPECT_DOUBLE_EQ(row(rows, "commit:").us.p50, 800);
}

TEST(BenchHops, PassesOverPointsOfALaterBuild) {
  TraceFile::Record later = at(1, Hop::kDone, 900);
  later.point = 4711;
  EXPECT_EQ(row(hop_rows({at(1, Hop::kPublished, 100)}, {later}), "done").events, 0u);
}

}  // namespace
}  // namespace fanfare::cli
