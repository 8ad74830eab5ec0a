// The one source of chance in a simulated world: the same seed gives the same run, on any machine.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace fanfare::simulation {

class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  // splitmix64: small, fast, and the same everywhere, which the standard distributions are not.
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }
  double fraction() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  bool chance(double probability) { return fraction() < probability; }
  Duration between(Duration low, Duration high) {
    return low + Duration{static_cast<Duration::rep>(
                     below(static_cast<std::uint64_t>((high - low).count()) + 1))};
  }
  // Exponentially distributed, at most ten times the mean.
  Duration around(Duration mean) {
    const double factor = -std::log(1.0 - fraction());
    return Duration{static_cast<Duration::rep>(static_cast<double>(mean.count()) *
                                               (factor < 10 ? factor : 10))};
  }
  template <typename T>
  T& pick(std::vector<T>& from) {
    return from[below(from.size())];
  }

 private:
  std::uint64_t state_;
};

}  // namespace fanfare::simulation
