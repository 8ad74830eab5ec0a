#include "tests/chaos/process_watch.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace fanfare::chaos {
namespace {

struct Stat {
  char state = 0;
  pid_t parent = 0;
};

Stat read_stat(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line;
  std::getline(file, line);
  // The name before it may hold anything.
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos || name_end + 4 >= line.size()) return {};
  return {.state = line[name_end + 2], .parent = std::atoi(line.c_str() + name_end + 4)};
}

std::int64_t steady_ns() {
  return std::chrono::steady_clock::now().time_since_epoch().count();
}

}  // namespace

ProcessWatch::~ProcessWatch() {
  for (const auto& [pid, one] : all_) {
    if (one.pidfd >= 0) close(one.pidfd);
  }
}

void ProcessWatch::watch(pid_t pid) {
  const auto [at, is_new] = all_.try_emplace(pid);
  if (!is_new) return;
  at->second.pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (at->second.pidfd < 0) at->second.ended_ns = steady_ns();
}

void ProcessWatch::look() {
  for (auto& [pid, one] : all_) {
    if (one.pidfd < 0) continue;
    pollfd ready{.fd = one.pidfd, .events = POLLIN, .revents = 0};
    if (poll(&ready, 1, 0) != 1) continue;
    one.ended_ns = steady_ns();
    close(one.pidfd);
    one.pidfd = -1;
  }
}

std::int64_t ProcessWatch::ended_ns(pid_t pid) const {
  const auto at = all_.find(pid);
  return at == all_.end() ? 0 : at->second.ended_ns;
}

std::vector<pid_t> ProcessWatch::alive() const {
  std::vector<pid_t> living;
  for (const auto& [pid, one] : all_) {
    if (one.pidfd >= 0) living.push_back(pid);
  }
  return living;
}

std::vector<Child> children_of(pid_t parent) {
  std::vector<Child> children;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    const Stat stat = read_stat(pid);
    if (stat.parent == parent) children.push_back({pid, stat.state});
  }
  return children;
}

std::optional<Holding> holding_of(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  Holding held;
  for (std::string line; std::getline(status, line);) {
    const auto value = [&](std::string_view name) -> std::int64_t {
      return line.starts_with(name) ? std::atoll(line.c_str() + name.size()) : 0;
    };
    held.kib += value("RssAnon:") + value("RssShmem:");
    held.threads += value("Threads:");
  }
  std::error_code gone;
  for (auto at = std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid), gone);
       !gone && at != std::filesystem::directory_iterator{}; at.increment(gone)) {
    ++held.descriptors;
  }
  if (gone || held.threads == 0) return std::nullopt;
  held.children = static_cast<std::int64_t>(children_of(pid).size());
  return held;
}

}  // namespace fanfare::chaos
