#include "cli/restart_policy.h"

#include <algorithm>
#include <utility>

namespace fanfare::cli {

using namespace std::chrono_literals;

Duration RestartPolicy::next_pause(Duration lived) {
  if (lived >= 30s) pause_ = 100ms;
  return std::exchange(pause_, std::min<Duration>(pause_ * 2, 10s));
}

}  // namespace fanfare::cli
