#include "broker/steady_wall.h"

namespace fanfare::broker {

WallTime SteadyWall::at(std::chrono::nanoseconds steady, WallTime wall) {
  using std::chrono::abs;
  const WallTime counted =
      began_wall_ + std::chrono::floor<std::chrono::milliseconds>(steady - began_);
  const std::chrono::milliseconds ahead = wall - counted;
  kept_off_ = {};
  if (abs(ahead) <= kFollowed) return wall;
  if (abs(ahead) > kUnset) {
    began_ = steady;
    began_wall_ = wall;
    return wall;
  }
  kept_off_ = ahead;
  return counted;
}

}  // namespace fanfare::broker
