#include "base/spin.h"

#include <algorithm>

namespace fanfare {

bool Spin::begin(TimePoint now) {
  if (sleeps_ > 0) {
    --sleeps_;
    return false;
  }
  began_ = now;
  return true;
}

bool Spin::goes_on(TimePoint now) {
  if (now - began_ < kMax) return true;
  rest_ = std::min(std::max(rest_ * 2, 1u), kRestMax);
  sleeps_ = rest_;
  return false;
}

void Spin::came() {
  rest_ = 0;
}

}  // namespace fanfare
