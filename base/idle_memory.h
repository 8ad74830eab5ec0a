// Gives memory back to the kernel when a daemon has come to rest.
//
// What a burst has needed, the allocator keeps for the next one, megabytes or gigabytes of it, for
// as long as anything above it is in use. A daemon that has done nothing for a whole period returns
// it, once until it has done something again (malloc_trim(3): of a heap of which 2 GB are free it
// takes some 100 ms, at an instant when nobody waits).
//
// Where a process has asked for huge pages, the kernel would fill the holes by and by (khugepaged,
// Documentation/admin-guide/mm/transhuge.rst): so it is told not to until there is work again.
#pragma once

#include <cstdint>
#include <functional>

#include "base/loop.h"

namespace fanfare {

class IdleMemory {
 public:
  struct Options {
    Duration period = std::chrono::seconds{1};
    // Of a process that starts no others: they would inherit that they get none.
    bool huge_pages = false;
  };

  // `progress`: a number that is another one whenever something was done.
  IdleMemory(Loop& loop, std::function<std::uint64_t()> progress, Options options);

 private:
  void look();
  void let_have_huge_pages(bool may);

  std::function<std::uint64_t()> progress_;
  const Options options_;
  std::uint64_t seen_ = 0;
  bool given_ = false;
  Timer timer_;
};

}  // namespace fanfare
