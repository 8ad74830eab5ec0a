#include "worker/package_stamp.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace fanfare::worker {
namespace {

bool same(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size &&
         a.st_mode == b.st_mode && same(a.st_mtim, b.st_mtim) && same(a.st_ctim, b.st_ctim);
}

}  // namespace

Result<PackageStamp> PackageStamp::of(const std::string& folder, std::vector<std::string> paths) {
  PackageStamp stamp;
  for (std::string& path : paths) {
    File file{std::move(path), {}};
    const std::string full = folder + "/" + file.path;
    if (::lstat(full.c_str(), &file.status) != 0) {
      return reject("cannot look at " + full + ": " + std::strerror(errno));
    }
    stamp.files_.push_back(std::move(file));
  }
  return stamp;
}

bool PackageStamp::still_holds(const std::string& folder) const {
  return std::ranges::all_of(files_, [&](const File& file) {
    struct stat now{};
    return ::lstat((folder + "/" + file.path).c_str(), &now) == 0 && same(now, file.status);
  });
}

}  // namespace fanfare::worker
