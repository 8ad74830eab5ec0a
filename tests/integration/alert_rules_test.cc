// ops/monitoring: that its alerts fire when they should, and that each can be looked up.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>

#include "tests/integration/metrics_manual.h"
#include "tests/integration/promtool.h"

namespace fanfare::test {
namespace {

const std::string kRules = text_of("ops/monitoring/fanfare.rules.yml");

std::vector<std::string> all_of(const std::string& text, const std::string& pattern) {
  std::vector<std::string> found;
  const std::regex wanted(pattern);
  for (std::sregex_iterator at(text.begin(), text.end(), wanted), end; at != end; ++at) {
    found.push_back((*at)[1]);
  }
  return found;
}

std::vector<std::string> alerts() {
  return all_of(kRules, R"(- alert: (\w+)\n)");
}

TEST(AlertRules, FireOnTheirOwnSeriesAndKeepStillOtherwise) {
  EXPECT_EQ(fault_found_by_promtool("--version >/dev/null"), "");
  EXPECT_EQ(
      fault_found_by_promtool("check config " FANFARE_SOURCE_DIR "/ops/monitoring/prometheus.yml"),
      "");
  EXPECT_EQ(fault_found_by_promtool("test rules " FANFARE_SOURCE_DIR
                                    "/ops/monitoring/fanfare.rules.test.yml"),
            "");
}

TEST(AlertRules, EachHasATestInWhichItFires) {
  const auto fired = all_of(text_of("ops/monitoring/fanfare.rules.test.yml"),
                            R"re(labels: '\{alertname="(\w+)"\}')re");
  EXPECT_THAT(fired, ::testing::UnorderedElementsAreArray(alerts()));
}

TEST(AlertRules, EachHasItsEntryInTheManualAndALinkToIt) {
  EXPECT_GE(alerts().size(), 20u);
  EXPECT_THAT(all_of("\n" + text_of("docs/alerts.md"), R"(\n## (\w+)\n)"),
              ::testing::ElementsAreArray(alerts()));
  std::vector<std::string> links;
  for (std::string name : alerts()) {
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    links.push_back(name);
  }
  EXPECT_THAT(all_of(kRules, R"(runbook_url: file:///usr/share/doc/fanfare/alerts\.md#(\S+)\n)"),
              ::testing::ElementsAreArray(links));
}

// The manual has what real daemons tell, see metrics_test.cc.
TEST(AlertRules, LookAtMetricsThatThereAre) {
  std::set<std::string> known{"up"};  // Prometheus' own
  for (const auto& [section, kinds] : manual_of_metrics()) {
    for (const auto& [name, kind] : kinds) {
      known.insert(kind.starts_with("histogram") ? name + "_bucket" : name);
    }
  }
  std::size_t looked_at = 0;
  for (const std::string& name : all_of(kRules, R"(\b((?:fanfare|process)_[a-z_]+)\b)")) {
    ++looked_at;
    EXPECT_TRUE(known.contains(name)) << name << " is in no daemon's metrics";
  }
  EXPECT_GT(looked_at, 50u);
}

}  // namespace
}  // namespace fanfare::test
