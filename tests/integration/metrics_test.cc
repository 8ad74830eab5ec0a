// The metrics of a whole installation, as Prometheus gets them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/integration/gateway_process.h"
#include "tests/integration/http_client.h"
#include "tests/integration/metrics_manual.h"
#include "tests/integration/promtool.h"

namespace fanfare::test {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

// Where a daemon says that it serves its metrics.
std::string metrics_url(const std::string& log_file) {
  constexpr std::string_view kSays = "metrics on ";
  std::string url;
  eventually([&] {
    const std::string log = content_of(log_file);
    const std::size_t at = log.find(kSays);
    if (at == std::string::npos || log.find('\n', at) == std::string::npos) return false;
    const std::string rest = log.substr(at + kSays.size());
    url = rest.substr(0, rest.find("/metrics"));
    return true;
  });
  EXPECT_FALSE(url.empty()) << content_of(log_file);
  return url;
}

std::string definitions_in(const std::string& directory) {
  std::filesystem::create_directories(directory);
  return "[forms.\"*\"]\n[buckets.photos]\ndirectory = \"" + directory + "\"\n";
}

class Metrics : public ::testing::Test {
 protected:
  Installation installation_{{.broker = {{"FANFARE_BROKER_METRICS", "127.0.0.1:0"}},
                              .worker = {{"FANFARE_WORKER_METRICS", "127.0.0.1:0"}}}};
  std::string broker_url() const { return metrics_url(installation_.file("broker.log")); }
  std::string worker_url() const { return metrics_url(installation_.file("worker.log")); }
};

class MetricsOfAll : public Metrics {
 protected:
  void SetUp() override {
    installation_.deploy("builtin/noop");
    installation_.result("noop", installation_.publish("noop", "x"));
    HttpClient client(gateway_.url);
    EXPECT_EQ(
        client.post("/forms/contact", "a=b", {"Content-Type: application/x-www-form-urlencoded"})
            .status,
        202);
  }
  Process::Environment autoscaler_settings() {
    return {{"FANFARE_AUTOSCALER_BROKER", installation_.endpoint()},
            {"FANFARE_AUTOSCALER_REDIS", "unix://" + installation_.redis().socket_path()},
            {"FANFARE_AUTOSCALER_DRIVER", "exec"},
            {"FANFARE_AUTOSCALER_COUNT_COMMAND", "echo,1"},
            {"FANFARE_AUTOSCALER_SCALE_COMMAND", "true,{workers}"},
            {"FANFARE_AUTOSCALER_METRICS", "127.0.0.1:0"}};
  }
  std::map<std::string, std::string> pages() {
    return {{"Broker", HttpClient(broker_url()).get("/metrics").body},
            {"Worker", HttpClient(worker_url()).get("/metrics").body},
            {"Gateway", HttpClient(gateway_.url).get("/metrics").body},
            {"Autoscaler",
             HttpClient(metrics_url(installation_.file("autoscaler.log"))).get("/metrics").body}};
  }

  GatewayProcess gateway_{installation_, {}, definitions_in(installation_.file("photos"))};
  Process autoscaler_{{FANFARE_BIN_DIR "/fanfare-autoscaler"},
                      autoscaler_settings(),
                      installation_.file("autoscaler.log")};
};

TEST_F(MetricsOfAll, AreCleanAndWhatTheManualSays) {
  // What Redis says of itself comes a moment after the broker's start.
  EXPECT_TRUE(eventually([&] {
    return HttpClient(broker_url()).get("/metrics").body.find("fanfare_redis_aof_ok") !=
           std::string::npos;
  }));
  auto manual = manual_of_metrics();
  const MetricKinds common = manual["All daemons"];
  EXPECT_FALSE(common.empty());
  for (const auto& [daemon, page] : pages()) {
    const std::string file = installation_.file(daemon + ".metrics");
    std::ofstream(file) << page;
    EXPECT_EQ(fault_found_by_promtool("check metrics < " + file), "") << daemon;
    MetricKinds expected = common;
    expected.insert(manual[daemon].begin(), manual[daemon].end());
    EXPECT_EQ(metrics_on(page), expected)
        << daemon << ": what it tells, and docs/metrics.md, must be the same";
  }
}

TEST_F(MetricsOfAll, CountWhatHappened) {
  const auto all = pages();
  EXPECT_THAT(all.at("Broker"),
              HasSubstr("ended_total{function=\"noop\",status=\"succeeded\"} 1\n"));
  EXPECT_THAT(all.at("Broker"), HasSubstr("fanfare_redis_up 1\n"));
  EXPECT_THAT(all.at("Worker"), HasSubstr("attempts_total{function=\"noop\",outcome=\"ok\"} 1\n"));
  EXPECT_THAT(all.at("Worker"), HasSubstr("cold_start_seconds_count{function=\"noop\"} 1\n"));
  EXPECT_THAT(all.at("Worker"), HasSubstr("fanfare_ready{daemon=\"worker\"} 1\n"));
  EXPECT_THAT(all.at("Gateway"), HasSubstr("requests_total{route=\"forms\",status=\"202\"} 1\n"));
  EXPECT_THAT(all.at("Gateway"), HasSubstr("{trigger=\"form\",result=\"accepted\"} 1\n"));
}

TEST_F(Metrics, OfAWorkerSayWhetherItHasABroker) {
  HttpClient worker(worker_url());
  EXPECT_EQ(worker.get("/healthz").status, 200);
  EXPECT_EQ(worker.get("/readyz").status, 200);
  installation_.broker().kill_hard();
  EXPECT_TRUE(eventually([&] { return worker.get("/readyz").status == 503; }));
  EXPECT_EQ(worker.get("/healthz").status, 200) << "it works on what it has";
  EXPECT_THAT(worker.get("/metrics").body, HasSubstr("fanfare_ready{daemon=\"worker\"} 0\n"));
}

}  // namespace
}  // namespace fanfare::test
