// Processes that are not ours, and when they end. Seen through descriptors of the kernel's: a
// number that is used again is not taken for its former owner.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "tests/chaos/history.h"

namespace fanfare::chaos {

class ProcessWatch {
 public:
  ProcessWatch() = default;
  ~ProcessWatch();
  ProcessWatch(const ProcessWatch&) = delete;
  ProcessWatch& operator=(const ProcessWatch&) = delete;

  // From now on; once for each. One that is gone already has ended now.
  void watch(pid_t pid);
  // Notes who has ended since the last look; a zombie has.
  void look();

  // CLOCK_MONOTONIC; 0: it lives, or was never watched.
  std::int64_t ended_ns(pid_t pid) const;
  std::vector<pid_t> alive() const;

 private:
  struct One {
    int pidfd = -1;
    std::int64_t ended_ns = 0;
  };
  std::map<pid_t, One> all_;
};

// "R", "S", "D", "T", "Z" as the kernel says it.
struct Child {
  pid_t pid = 0;
  char state = 0;
};
std::vector<Child> children_of(pid_t parent);

// Nothing if it is gone.
std::optional<Holding> holding_of(pid_t pid);

}  // namespace fanfare::chaos
