#include "base/idle_memory.h"

#include <malloc.h>

#include <utility>

namespace fanfare {

IdleMemory::IdleMemory(Loop& loop, std::function<std::uint64_t()> progress, Duration period)
    : progress_(std::move(progress)), seen_(progress_()), timer_(loop, [this] { look(); }) {
  timer_.start_every(period);
}

void IdleMemory::look() {
  const std::uint64_t now = progress_();
  if (std::exchange(seen_, now) != now) {
    given_ = false;
  } else if (!std::exchange(given_, true)) {
    ::malloc_trim(0);
  }
}

}  // namespace fanfare
