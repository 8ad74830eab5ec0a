// What the files of an unpacked package looked like when they were compared with its digest: a
// glance that tells whether they must be compared again.
//
// Of each file the inode, size, mode and the times of its last change. A kernel that loses a write
// in a crash shows another size or an older time; who sets a file's times changes its ctime.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace fanfare::worker {

class PackageStamp {
 public:
  // Of the files at `paths` below `folder`; kReject if one cannot be looked at.
  static Result<PackageStamp> of(const std::string& folder, std::vector<std::string> paths);

  // Whether nothing has touched them since. Reads no file.
  bool still_holds(const std::string& folder) const;

 private:
  struct File {
    std::string path;
    struct stat status{};
  };
  std::vector<File> files_;
};

}  // namespace fanfare::worker
