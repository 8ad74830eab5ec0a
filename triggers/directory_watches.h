// The inotify watches of a bucket's directories, and what they tell, by path.
//
// A watch follows its directory and not its path: when a directory is moved, who holds this object
// forgets what lies below the old path (unwatch_below) and watches it anew under the new one.
//
// One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>

#include "base/result.h"

namespace fanfare::triggers {

struct DirectoryNews {
  enum class What : std::uint8_t {
    kAppeared,           // a file was created, or linked
    kClosed,             // a writer closed a file, or it was moved to here
    kGone,               // a file was deleted, or moved away
    kDirectoryAppeared,  // created, or moved to here
    kDirectoryGone,
    kRootGone,  // the bucket's directory was deleted, moved or unmounted
    kLost,      // the kernel's queue was full: anything may have happened
  };
  What what;
  std::string path;  // empty for kRootGone and kLost
};

class DirectoryWatches {
 public:
  // kRetryLater if the kernel refuses; the message says which limit to raise.
  static Result<DirectoryWatches> open();
  ~DirectoryWatches();
  DirectoryWatches(DirectoryWatches&& other) noexcept;
  DirectoryWatches& operator=(DirectoryWatches&&) = delete;

  int fd() const { return fd_; }

  // Watches a directory that is open as `directory_fd`; "" is the root. Again is no harm.
  // kRetryLater if there are no more watches (the message says what to do), or the kernel refuses.
  Result<void> watch(const std::string& path, int directory_fd);
  void unwatch_below(const std::string& path);  // and itself
  std::size_t size() const { return path_by_watch_.size(); }

  // Tells up to 64 KiB of what has arrived; whether there was any.
  bool read(const std::function<void(const DirectoryNews&)>& fn);

 private:
  explicit DirectoryWatches(int fd) : fd_(fd) {}
  void forget(int watch);

  int fd_;
  std::unordered_map<int, std::string> path_by_watch_;
  std::map<std::string, int> watch_by_path_;
};

}  // namespace fanfare::triggers
