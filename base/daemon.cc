#include "base/daemon.h"

#include <fmt/format.h>
#include <linux/close_range.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <utility>

namespace fanfare {

void ignore_sigpipe() {
  std::signal(SIGPIPE, SIG_IGN);
}

void close_inherited_on_exec() {
  syscall(SYS_close_range, 3u, ~0u, static_cast<unsigned>(CLOSE_RANGE_CLOEXEC));
}

std::size_t raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  const rlim_t before = std::exchange(limit.rlim_cur, limit.rlim_max);
  if (limit.rlim_cur != before && ::setrlimit(RLIMIT_NOFILE, &limit) != 0) return before;
  return limit.rlim_cur;
}

namespace {

// A line of its own would be another assignment.
std::string one_line(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, ' ');
  return text;
}

}  // namespace

void ServiceManager::ready(const std::string& status) {
  sd_notify(0, fmt::format("READY=1\nSTATUS={}", one_line(status)).c_str());
}

void ServiceManager::status(const std::string& status) {
  sd_notify(0, fmt::format("STATUS={}", one_line(status)).c_str());
}

void ServiceManager::reloading() {
  sd_notify(0, "RELOADING=1");
}

void ServiceManager::stopping(const std::string& status) {
  sd_notify(0, fmt::format("STOPPING=1\nSTATUS={}", one_line(status)).c_str());
}

void ServiceManager::extend_timeout(Duration by) {
  const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(by).count();
  sd_notify(0, fmt::format("EXTEND_TIMEOUT_USEC={}", microseconds).c_str());
}

void ServiceManager::keep_watchdog(Loop& loop) {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return;
  watchdog_ = std::make_unique<Timer>(loop, [] { sd_notify(0, "WATCHDOG=1"); });
  watchdog_->start_every(std::chrono::microseconds{microseconds / 2});
}

}  // namespace fanfare
