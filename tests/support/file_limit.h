// This process's limit of open files, low for a while: as a shell gives it to what it starts.
#pragma once

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>

namespace fanfare::test {

class FileLimit {
 public:
  explicit FileLimit(rlim_t soft) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    set(std::min(soft, before_.rlim_max));
  }
  ~FileLimit() { EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before_), 0); }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

  rlim_t raise() const {
    set(before_.rlim_max);
    return before_.rlim_max;
  }

 private:
  void set(rlim_t soft) const {
    const rlimit limit{.rlim_cur = soft, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  }
  rlimit before_{};
};

}  // namespace fanfare::test
