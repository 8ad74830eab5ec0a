#include "base/idle_memory.h"

#include <malloc.h>
#include <sys/prctl.h>

#include <utility>

namespace fanfare {

IdleMemory::IdleMemory(Loop& loop, std::function<std::uint64_t()> progress, Options options)
    : progress_(std::move(progress)),
      options_(options),
      seen_(progress_()),
      timer_(loop, [this] { look(); }) {
  timer_.start_every(options_.period);
}

void IdleMemory::look() {
  const std::uint64_t now = progress_();
  if (std::exchange(seen_, now) != now) {
    if (std::exchange(given_, false)) let_have_huge_pages(true);
  } else if (!std::exchange(given_, true)) {
    let_have_huge_pages(false);
    ::malloc_trim(0);
  }
}

// At rest it looks more often whether there is work again, which is quicker with them.
void IdleMemory::let_have_huge_pages(bool may) {
  if (!options_.huge_pages) return;
  ::prctl(PR_SET_THP_DISABLE, may ? 0 : 1, 0, 0, 0);
  timer_.start_every(may ? options_.period : options_.period / 5);
}

}  // namespace fanfare
