// `fanfare bench` on the temporary installation that it makes.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/child_output.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;

nlohmann::json bench(std::vector<std::string> words) {
  std::vector<std::string> all{FANFARE_BIN_DIR "/fanfare", "--json", "bench"};
  all.insert(all.end(), words.begin(), words.end());
  const auto ended = cli::run_and_capture(all, 60s).value();
  const auto answer = nlohmann::json::parse(ended.output, nullptr, false);
  EXPECT_FALSE(answer.is_discarded()) << ended.output;
  return answer.is_object() ? answer : nlohmann::json::object();
}

TEST(Bench, TellsWhatEachHopOfAnEventsWayTakes) {
  const auto report = bench({"latency", "--hops", "--events", "50", "--rate", "100", "--runs", "1",
                             "--durability", "fsync"});
  std::map<std::string, double> p50;
  for (const auto& hop : report.value("hops", nlohmann::json::array())) {
    EXPECT_GE(hop.value("events", 0), 20) << hop;  // a chunk may hold several
    p50[hop.value("name", "").substr(0, hop.value("name", "").find(':'))] =
        hop.value("p50_us", -1.0);
  }
  ASSERT_EQ(p50.size(), 16u) << report;
  EXPECT_GT(p50["journal"], 0);
  EXPECT_GT(p50["instance"], 0);
  EXPECT_LT(p50["handler"], p50["publish to handler entered"]);
  EXPECT_LT(p50["publish"], p50["publish to handler entered"]);
  EXPECT_LT(p50["publish to handler entered"], p50["publish to the end of it all"]);
  EXPECT_LT(p50["publish to acknowledged"], p50["publish to result in Redis"]);
}

TEST(Bench, TellsWhoseProcessorTimeAnEventTakes) {
  const auto report = bench({"--events", "20000", "--runs", "1", "--durability", "memory"});
  const auto& by = report["processor_us_by"];
  double sum = 0;
  for (const char* whose : {"publishers", "broker", "worker", "instances", "redis"}) {
    sum += by.value(whose, 0.0);
  }
  EXPECT_GT(by.value("broker", 0.0), 0) << report;
  EXPECT_GT(by.value("redis", 0.0), 0) << report;
  EXPECT_NEAR(sum, report.value("processor_us", 0.0), 0.5) << report;
}

}  // namespace
}  // namespace fanfare::test
