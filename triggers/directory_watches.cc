#include "triggers/directory_watches.h"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <utility>

namespace fanfare::triggers {
namespace {

using NewsKind = DirectoryNews::What;

constexpr std::uint32_t kWatched =
    IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
constexpr std::uint32_t kWatchedOfRoot = kWatched | IN_DELETE_SELF | IN_MOVE_SELF;

std::string limit_named(const char* name) {
  std::ifstream file(fmt::format("/proc/sys/fs/inotify/{}", name));
  std::string value = "?";
  file >> value;
  return fmt::format("fs.inotify.{} is {}; raise it with sysctl", name, value);
}

std::optional<NewsKind> what_of(std::uint32_t mask) {
  const bool directory = mask & IN_ISDIR;
  if (mask & (IN_DELETE | IN_MOVED_FROM))
    return directory ? NewsKind::kDirectoryGone : NewsKind::kGone;
  if (mask & (IN_CREATE | IN_MOVED_TO)) {
    if (directory) return NewsKind::kDirectoryAppeared;
    return mask & IN_CREATE ? NewsKind::kAppeared : NewsKind::kClosed;
  }
  if (mask & IN_CLOSE_WRITE) return NewsKind::kClosed;
  return std::nullopt;
}

}  // namespace

Result<DirectoryWatches> DirectoryWatches::open() {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd >= 0) return DirectoryWatches(fd);
  const std::string why = std::strerror(errno);
  return retry_later(errno == EMFILE
                         ? fmt::format("no more inotify instances: {}, or the limit of open files",
                                       limit_named("max_user_instances"))
                         : "inotify: " + why);
}

DirectoryWatches::~DirectoryWatches() {
  if (fd_ >= 0) close(fd_);
}

DirectoryWatches::DirectoryWatches(DirectoryWatches&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_by_watch_(std::move(other.path_by_watch_)),
      watch_by_path_(std::move(other.watch_by_path_)) {}

Result<void> DirectoryWatches::watch(const std::string& path, int directory_fd) {
  // By descriptor: no path can lead elsewhere, or be too long.
  const std::string link = fmt::format("/proc/self/fd/{}", directory_fd);
  const int watch = inotify_add_watch(fd_, link.c_str(), path.empty() ? kWatchedOfRoot : kWatched);
  if (watch < 0) {
    const std::string why = std::strerror(errno);
    return retry_later(errno == ENOSPC ? fmt::format("no more inotify watches: {}",
                                                     limit_named("max_user_watches"))
                                       : "inotify: " + why);
  }
  // The same directory may have had another path before, and the path another directory.
  if (const auto at = path_by_watch_.find(watch); at != path_by_watch_.end()) {
    if (at->second == path) return {};
    watch_by_path_.erase(at->second);
  }
  if (const auto at = watch_by_path_.find(path); at != watch_by_path_.end()) {
    path_by_watch_.erase(at->second);
    inotify_rm_watch(fd_, at->second);
  }
  path_by_watch_[watch] = path;
  watch_by_path_[path] = watch;
  return {};
}

void DirectoryWatches::unwatch_below(const std::string& path) {
  const auto end_one = [this](auto at) {
    inotify_rm_watch(fd_, at->second);
    path_by_watch_.erase(at->second);
    return watch_by_path_.erase(at);
  };
  if (const auto at = watch_by_path_.find(path); at != watch_by_path_.end()) end_one(at);
  const std::string prefix = path + '/';
  auto at = watch_by_path_.lower_bound(prefix);
  while (at != watch_by_path_.end() && at->first.starts_with(prefix)) at = end_one(at);
}

void DirectoryWatches::forget(int watch) {
  const auto at = path_by_watch_.find(watch);
  if (at == path_by_watch_.end()) return;
  watch_by_path_.erase(at->second);
  path_by_watch_.erase(at);
}

bool DirectoryWatches::read(const std::function<void(const DirectoryNews&)>& fn) {
  alignas(inotify_event) std::array<char, 64 * 1024> buffer;
  const ssize_t got = ::read(fd_, buffer.data(), buffer.size());
  if (got <= 0) return false;
  for (ssize_t at = 0; at < got;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
    if (event->mask & IN_Q_OVERFLOW) {
      fn({NewsKind::kLost, {}});
      continue;
    }
    const auto known = path_by_watch_.find(event->wd);
    if (known == path_by_watch_.end()) continue;  // of a watch that was ended
    const std::string directory = known->second;
    if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) {
      if (directory.empty()) fn({NewsKind::kRootGone, {}});
    }
    if (event->mask & IN_IGNORED) {
      forget(event->wd);
      continue;
    }
    const auto what = what_of(event->mask);
    if (!what || event->len == 0) continue;
    fn({*what, directory.empty() ? std::string(event->name) : directory + '/' + event->name});
  }
  return true;
}

}  // namespace fanfare::triggers
