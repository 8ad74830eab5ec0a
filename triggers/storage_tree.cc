#include "triggers/storage_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>

#include "triggers/storage_event.h"

namespace fanfare::triggers {
namespace {

std::int64_t to_ns(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

std::int64_t wall_clock_ns() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return to_ns(now);
}

FileVersion version_of(const struct stat& status) {
  return {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
          to_ns(status.st_mtim), static_cast<std::uint64_t>(status.st_size)};
}

bool says_absent(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV ||
         error == ENAMETOOLONG;
}

std::string path_within(const std::string& directory, const std::string& name) {
  return directory.empty() ? name : directory + '/' + name;
}

// A read lease is given only while nobody has the file open for writing. While it is held, nobody
// can: so what fstat says under it is whole.
Look::Writers ask_for_writers(int path_fd, struct stat& status) {
  const std::string link = fmt::format("/proc/self/fd/{}", path_fd);
  const OwnedFd file(open(link.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return Look::Writers::kUnknown;
  // Who wants to write meanwhile makes the kernel signal us: one that is ignored unless caught.
  if (fcntl(file.get(), F_SETSIG, SIGURG) != 0) return Look::Writers::kUnknown;
  if (fcntl(file.get(), F_SETLEASE, F_RDLCK) != 0) {
    return errno == EAGAIN ? Look::Writers::kSome : Look::Writers::kUnknown;
  }
  const bool seen = fstat(file.get(), &status) == 0;
  fcntl(file.get(), F_SETLEASE, F_UNLCK);
  return seen ? Look::Writers::kNone : Look::Writers::kUnknown;
}

}  // namespace

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) close(fd_);
}

// ---- StorageNames

bool StorageNames::ignores_name(const std::string& name) const {
  return std::ranges::any_of(ignored_, [&](const std::string& pattern) {
    return fnmatch(pattern.c_str(), name.c_str(), 0) == 0;
  });
}

bool StorageNames::has(const std::string& path) const {
  if (!is_storage_key(bucket_, path)) return false;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    if (ignores_name(path.substr(begin, end - begin))) return false;
    begin = end + 1;
  }
  return true;
}

// ---- StorageTree

Result<StorageTree> StorageTree::open(const std::string& directory) {
  OwnedFd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status{};
  if (!root || fstat(root.get(), &status) != 0) {
    return retry_later(fmt::format("opening {}: {}", directory, std::strerror(errno)));
  }
  return StorageTree(directory, std::move(root), status.st_dev, status.st_ino);
}

bool StorageTree::still_in_place() const {
  struct stat status{};
  return stat(directory_.c_str(), &status) == 0 && status.st_dev == device_ &&
         status.st_ino == inode_;
}

bool StorageTree::is_deleted() const {
  struct stat status{};
  return fstat(root_.get(), &status) == 0 && status.st_nlink == 0;
}

OwnedFd StorageTree::open_beneath(const std::string& path, int flags) const {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const char* name = path.empty() ? "." : path.c_str();
  const long fd = syscall(SYS_openat2, root_.get(), name, &how, sizeof how);
  // Kernels before 5.6, and containers that do not know the call.
  if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
    return OwnedFd(openat(root_.get(), name, flags | O_CLOEXEC));
  }
  return OwnedFd(static_cast<int>(fd));
}

OwnedFd StorageTree::open_directory(const std::string& path) const {
  return open_beneath(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Look StorageTree::look(const std::string& path, const FileVersion* known) const {
  Look look;
  look.looked_ns = wall_clock_ns();
  const OwnedFd file = open_beneath(path, O_PATH | O_NOFOLLOW);
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) {
    look.state = says_absent(errno) ? Look::State::kAbsent : Look::State::kUnreadable;
    return look;
  }
  if (!S_ISREG(status.st_mode)) return look;
  look.state = Look::State::kFile;
  if (!known || !known->is_same(version_of(status))) {
    look.writers = ask_for_writers(file.get(), status);
  }
  look.version = version_of(status);
  look.changed_ns = to_ns(status.st_ctim);
  return look;
}

// ---- StorageScan

struct StorageScan::Open {
  std::string path;
  DIR* entries;
  ~Open() { closedir(entries); }
};

StorageScan::StorageScan(const StorageTree& tree, const StorageNames& names, Visitor visitor)
    : tree_(tree), names_(names), visitor_(std::move(visitor)) {}
StorageScan::~StorageScan() = default;

void StorageScan::step(std::size_t entries_max) {
  for (std::size_t n = 0; n < entries_max; ++n) {
    if (!open_ && !open_next()) {
      if (pending_.empty()) return;
      continue;
    }
    errno = 0;
    const dirent* entry = readdir(open_->entries);
    if (!entry) {
      if (errno != 0) visitor_.on_unreadable(open_->path, errno);
      open_.reset();
      continue;
    }
    visit(entry->d_name, entry->d_type);
  }
}

// False if there is none, or it could not be opened: what is gone meanwhile is no trouble.
bool StorageScan::open_next() {
  if (pending_.empty()) return false;
  std::string path = std::move(pending_.back());
  pending_.pop_back();
  OwnedFd directory = tree_.open_directory(path);
  if (!directory) {
    if (!says_absent(errno)) visitor_.on_unreadable(path, errno);
    return false;
  }
  visitor_.on_directory(path, directory.get());
  DIR* entries = fdopendir(directory.get());
  if (!entries) {
    visitor_.on_unreadable(path, errno);
    return false;
  }
  directory.release();
  open_.reset(new Open{std::move(path), entries});
  return true;
}

void StorageScan::visit(const std::string& name, unsigned char type) {
  if (name == "." || name == ".." || names_.ignores_name(name)) return;
  if (type != DT_REG && type != DT_DIR && type != DT_UNKNOWN) return;
  const std::string path = path_within(open_->path, name);
  struct stat status{};
  if (type != DT_DIR) {
    if (fstatat(dirfd(open_->entries), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      if (!says_absent(errno)) visitor_.on_unreadable(path, errno);
      return;
    }
    if (S_ISREG(status.st_mode)) return visitor_.on_file(path, version_of(status));
    if (!S_ISDIR(status.st_mode)) return;
  }
  pending_.push_back(path);
}

}  // namespace fanfare::triggers
