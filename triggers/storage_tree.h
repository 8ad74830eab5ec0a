// The directory of a bucket, as it lies on the disk: opening, looking, reading it in slices.
//
// Symbolic links are not followed, at no level, and nothing outside of the directory is reached.
// The directory stays open: what its path leads to later is another question (still_in_place).
//
// Blocks while the disk does. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "triggers/storage_core.h"

namespace fanfare::triggers {

// A descriptor that is closed with its owner.
class OwnedFd {
 public:
  OwnedFd() = default;
  explicit OwnedFd(int fd) : fd_(fd) {}
  ~OwnedFd();
  OwnedFd(OwnedFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  explicit operator bool() const { return fd_ >= 0; }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Which names a bucket does not have: shell patterns, each for one part of a path.
class StorageNames {
 public:
  StorageNames(std::string bucket, std::vector<std::string> ignored)
      : bucket_(std::move(bucket)), ignored_(std::move(ignored)) {}
  bool ignores_name(const std::string& name) const;  // one part
  // Whether a path can be announced: no part is ignored, and it makes a key.
  bool has(const std::string& path) const;

 private:
  std::string bucket_;
  std::vector<std::string> ignored_;
};

class StorageTree {
 public:
  // kRetryLater if there is no such directory, or it cannot be opened.
  static Result<StorageTree> open(const std::string& directory);

  std::uint64_t inode() const { return inode_; }
  // Whether its path still leads to this directory: it may be moved, deleted, mounted over.
  bool still_in_place() const;

  bool is_deleted() const;
  OwnedFd open_directory(const std::string& path) const;  // "" is the root; errno says why not

  // What lies at a path. Whether somebody writes is asked only of what is not `known`: by a lease,
  // which only owner and root may take. A writer that opens it in this very moment waits for some
  // microseconds (one that refuses to wait, with O_NONBLOCK, is told EWOULDBLOCK).
  Look look(const std::string& path, const FileVersion* known) const;

 private:
  StorageTree(std::string directory, OwnedFd root, std::uint64_t device, std::uint64_t inode)
      : directory_(std::move(directory)), root_(std::move(root)), device_(device), inode_(inode) {}
  OwnedFd open_beneath(const std::string& path, int flags) const;

  std::string directory_;
  OwnedFd root_;
  std::uint64_t device_, inode_;
};

// Reads directories with all that lies below them, some hundred entries at a time.
class StorageScan {
 public:
  struct Visitor {
    // Before it is read, so that it can be watched without a gap.
    std::function<void(const std::string& path, int fd)> on_directory;
    std::function<void(const std::string& path, const FileVersion&)> on_file;
    std::function<void(const std::string& path, int error)> on_unreadable;
  };
  StorageScan(const StorageTree& tree, const StorageNames& names, Visitor visitor);
  ~StorageScan();
  StorageScan(const StorageScan&) = delete;
  StorageScan& operator=(const StorageScan&) = delete;

  void add(std::string directory) { pending_.push_back(std::move(directory)); }
  bool done() const { return pending_.empty() && !open_; }
  void step(std::size_t entries_max);

 private:
  struct Open;
  bool open_next();
  void visit(const std::string& name, unsigned char type);

  const StorageTree& tree_;
  const StorageNames& names_;
  Visitor visitor_;
  std::vector<std::string> pending_;
  std::unique_ptr<Open> open_;
};

}  // namespace fanfare::triggers
