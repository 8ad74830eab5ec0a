// How often somebody has come lately: a bound on what one address may do.
//
// Each name has a bucket that fills evenly, up to a minute's worth. Bounded: beyond kNamesMax those
// that have been away longest are forgotten, which is in their favour. No clock of its own.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/time.h"

namespace fanfare::triggers {

class Visits {
 public:
  static constexpr std::size_t kNamesMax = 100'000;

  // Whether `name` may come once more; if so, it has.
  bool admit(std::string_view name, std::uint32_t per_minute_max, TimePoint now);

 private:
  struct Visitor {
    std::string name;
    double left = 0;
    TimePoint seen;
  };
  std::list<Visitor> visitors_;  // the latest first
  std::unordered_map<std::string_view, std::list<Visitor>::iterator> by_name_;
};

}  // namespace fanfare::triggers
