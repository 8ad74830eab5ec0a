#include "base/daemon_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <system_error>

#include "base/process.h"

namespace fanfare {
namespace {

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

// When this machine was booted, Unix seconds; 0 if it does not say.
double boot_time() {
  std::ifstream stat("/proc/stat");
  for (std::string word; stat >> word;) {
    if (word != "btime") continue;
    double seconds = 0;
    stat >> seconds;
    return seconds;
  }
  return 0;
}

void tell_start(MetricsText& text) {
  // By the clock as it was at boot: it does not change while the process lives.
  static const double booted = boot_time();
  const auto ticks = process_start_time(::getpid());
  if (!ticks || booted == 0) return;
  const auto per_second = static_cast<double>(::sysconf(_SC_CLK_TCK));
  text.gauge("process_start_time_seconds", "When it was started, Unix time.")
      .add({}, booted + static_cast<double>(*ticks) / per_second);
}

void tell_memory(MetricsText& text) {
  std::ifstream statm("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  if (!(statm >> size >> resident)) return;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  text.gauge("process_virtual_memory_bytes", "Address space.").add({}, size * page);
  text.gauge("process_resident_memory_bytes", "Memory in use.").add({}, resident * page);
}

void tell_files(MetricsText& text) {
  std::error_code error;
  std::uint64_t open = 0;
  for (auto at = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    ++open;
  }
  rlimit limit{};
  if (error || ::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  text.gauge("process_open_fds", "Open file descriptors.").add({}, open);
  text.gauge("process_max_fds", "File descriptors that may be open.").add({}, limit.rlim_cur);
}

}  // namespace

void tell_daemon(MetricsText& text, std::string_view daemon, bool ready) {
  text.gauge("fanfare_build_info", "Which daemon this is, and its version; always 1.")
      .add({{"daemon", daemon}, {"version", FANFARE_VERSION}}, 1);
  text.gauge("fanfare_ready", "1 while it can do its work, as /readyz says.")
      .add({{"daemon", daemon}}, ready ? 1 : 0);
  rusage used{};
  if (::getrusage(RUSAGE_SELF, &used) == 0) {
    text.counter("process_cpu_seconds_total", "Processor time, user and system.")
        .add({}, seconds_of(used.ru_utime) + seconds_of(used.ru_stime));
  }
  tell_start(text);
  tell_memory(text);
  tell_files(text);
}

}  // namespace fanfare
