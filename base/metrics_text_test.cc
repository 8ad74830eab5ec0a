#include "base/metrics_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace fanfare {
namespace {

using namespace std::chrono_literals;

TEST(MetricsText, TellsHelpAndTypeOnceForAllSamplesOfAName) {
  MetricsText text;
  text.counter("fanfare_refused_total", "Refused, by reason.")
      .add({{"reason", "malformed"}}, 3u)
      .add({{"reason", "too_large"}}, std::uint64_t{18'000'000'000'000'000'000u});
  text.gauge("fanfare_workers", "Workers connected.").add({}, -1);
  EXPECT_EQ(text.take(),
            "# HELP fanfare_refused_total Refused, by reason.\n"
            "# TYPE fanfare_refused_total counter\n"
            "fanfare_refused_total{reason=\"malformed\"} 3\n"
            "fanfare_refused_total{reason=\"too_large\"} 18000000000000000000\n"
            "# HELP fanfare_workers Workers connected.\n"
            "# TYPE fanfare_workers gauge\n"
            "fanfare_workers -1\n");
}

TEST(MetricsText, EscapesWhatWouldEndALabelsValue) {
  MetricsText text;
  text.gauge("fanfare_x", "X.").add({{"path", "C:\\new\n\"line\""}, {"b", ""}}, 1);
  EXPECT_TRUE(text.take().ends_with("fanfare_x{path=\"C:\\\\new\\n\\\"line\\\"\",b=\"\"} 1\n"));
}

TEST(MetricsText, TellsNumbersThatAreNone) {
  MetricsText text;
  text.gauge("fanfare_x", "X.")
      .add({}, std::numeric_limits<double>::infinity())
      .add({}, -std::numeric_limits<double>::infinity())
      .add({}, std::numeric_limits<double>::quiet_NaN())
      .add({}, 0.1);
  EXPECT_TRUE(
      text.take().ends_with("fanfare_x +Inf\nfanfare_x -Inf\nfanfare_x NaN\nfanfare_x 0.1\n"));
}

TEST(MetricsText, AHistogramsBucketsAddUp) {
  Histogram histogram(duration_buckets());
  histogram.observe(200us, 2);
  histogram.observe(2ms);
  histogram.observe(1h);
  MetricsText text;
  text.histogram("fanfare_time_seconds", "Time.").add({{"function", "f"}}, histogram);
  const std::string told = text.take();
  for (const char* line : {"# TYPE fanfare_time_seconds histogram\n",
                           "fanfare_time_seconds_bucket{function=\"f\",le=\"0.0001\"} 0\n",
                           "fanfare_time_seconds_bucket{function=\"f\",le=\"0.00025\"} 2\n",
                           "fanfare_time_seconds_bucket{function=\"f\",le=\"0.0025\"} 3\n",
                           "fanfare_time_seconds_bucket{function=\"f\",le=\"600\"} 3\n",
                           "fanfare_time_seconds_bucket{function=\"f\",le=\"+Inf\"} 4\n",
                           "fanfare_time_seconds_sum{function=\"f\"} 3600.0024\n",
                           "fanfare_time_seconds_count{function=\"f\"} 4\n"}) {
    EXPECT_NE(told.find(line), std::string::npos) << line << told;
  }
}

}  // namespace
}  // namespace fanfare
