#include "base/daemon_metrics.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace fanfare {
namespace {

std::string told(bool ready) {
  MetricsText text;
  tell_daemon(text, "broker", ready);
  return text.take();
}

// The value of a metric without labels.
double value_of(const std::string& name) {
  const std::string text = told(true);
  const std::size_t at = text.find("\n" + name + " ");
  EXPECT_NE(at, std::string::npos) << name << "\n" << text;
  return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
}

TEST(DaemonMetrics, SayWhichDaemonItIsAndWhetherItIsReady) {
  EXPECT_NE(
      told(true).find("fanfare_build_info{daemon=\"broker\",version=\"" FANFARE_VERSION "\"} 1\n"),
      std::string::npos);
  EXPECT_NE(told(true).find("fanfare_ready{daemon=\"broker\"} 1\n"), std::string::npos);
  EXPECT_NE(told(false).find("fanfare_ready{daemon=\"broker\"} 0\n"), std::string::npos);
}

TEST(DaemonMetrics, SayWhatTheProcessUses) {
  using namespace std::chrono;
  const double now = duration<double>(system_clock::now().time_since_epoch()).count();
  const double started = value_of("process_start_time_seconds");
  EXPECT_GT(started, now - 600);
  EXPECT_LT(started, now + 5);
  EXPECT_GT(value_of("process_cpu_seconds_total"), 0);
  EXPECT_GT(value_of("process_resident_memory_bytes"), 1e6);
  EXPECT_GE(value_of("process_virtual_memory_bytes"), value_of("process_resident_memory_bytes"));
}

TEST(DaemonMetrics, AnOpenFileIsCounted) {
  const double before = value_of("process_open_fds");
  std::vector<int> files;
  for (int i = 0; i < 7; ++i) files.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(value_of("process_open_fds"), before + 7);
  for (const int file : files) ::close(file);
  EXPECT_GT(value_of("process_max_fds"), before + 7);
}

}  // namespace
}  // namespace fanfare
