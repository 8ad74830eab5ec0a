// Gives memory back to the kernel when a daemon has come to rest.
//
// What a burst has needed, the allocator keeps for the next one, megabytes or gigabytes of it, for
// as long as anything above it is in use. A daemon that has done nothing for a whole period returns
// it, once until it has done something again (malloc_trim(3): of a heap of which 2 GB are free it
// takes some 100 ms, at an instant when nobody waits).
#pragma once

#include <cstdint>
#include <functional>

#include "base/loop.h"

namespace fanfare {

class IdleMemory {
 public:
  // `progress`: a number that is another one whenever something was done.
  IdleMemory(Loop& loop, std::function<std::uint64_t()> progress,
             Duration period = std::chrono::seconds{1});

 private:
  void look();

  std::function<std::uint64_t()> progress_;
  std::uint64_t seen_ = 0;
  bool given_ = false;
  Timer timer_;
};

}  // namespace fanfare
