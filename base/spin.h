// Looking for something again and again for a moment, where sleeping until it comes would take
// longer than the moment.
//
// To be woken takes some 4 µs on the core that a process slept on, and 25 µs where another core of
// a virtual machine has to be woken first (docs/decisions/0049-who-expects-an-answer-looks-for-it).
// So who has asked for what is usually there within microseconds looks for it, for kMax at most,
// before it sleeps.
//
// Between two looks the core is offered to whoever is queued for it (sched_yield), and that may be
// the very process that is waited for. What comes in vain is not repeated at once: the next wait is
// slept through, then two, four, up to kRestMax, until something comes in time. So looking takes at
// most kMax of a core a wait, for as long as it pays, and 0.2 µs a wait where it never does.
//
// One for each kind of wait. Belongs to one thread.
#pragma once

#include <sched.h>

#include <chrono>
#include <cstdint>

#include "base/time.h"

namespace fanfare {

class Spin {
 public:
  static constexpr Duration kMax = std::chrono::microseconds{50};
  static constexpr std::uint32_t kRestMax = 256;

  // A wait begins. Whether to look at all.
  bool begin(TimePoint now);
  // It was not there. Whether to look once more.
  bool goes_on(TimePoint now);
  // It was.
  void came();

 private:
  TimePoint began_;
  std::uint32_t rest_ = 0;    // waits slept through after the last that was in vain
  std::uint32_t sleeps_ = 0;  // of them still to come
};

// Looks until `there` says so, and returns true, or until it does not pay: then sleep.
template <typename There>
bool look_for(Spin& spin, There there) {
  if (!spin.begin(std::chrono::steady_clock::now())) return false;
  while (!there()) {
    ::sched_yield();
    if (!spin.goes_on(std::chrono::steady_clock::now())) return false;
  }
  spin.came();
  return true;
}

}  // namespace fanfare
