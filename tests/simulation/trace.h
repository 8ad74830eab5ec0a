// The last lines of what happened in a run, for whoever has to understand a violation.
//
// Off, it costs nothing: a run that found something is simply run again with the trace on.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>

#include "tests/simulation/schedule.h"

namespace fanfare::simulation {

enum class Tracing { kOff, kKeep, kPrint };

class Trace {
 public:
  static constexpr std::size_t kLinesMax = 60;

  Trace(const Schedule& schedule, Tracing tracing) : schedule_(schedule), tracing_(tracing) {}

  template <typename... Args>
  void say(fmt::format_string<Args...> format, Args&&... args) {
    if (tracing_ == Tracing::kOff) return;
    const double ms = to_ms(schedule_.steady().time_since_epoch());
    std::string line =
        fmt::format("{:9.3f} ms  {}", ms, fmt::format(format, std::forward<Args>(args)...));
    if (tracing_ == Tracing::kPrint) std::puts(line.c_str());
    lines_.push_back(std::move(line));
    if (lines_.size() > kLinesMax) lines_.pop_front();
  }
  const std::deque<std::string>& lines() const { return lines_; }

 private:
  const Schedule& schedule_;
  Tracing tracing_;
  std::deque<std::string> lines_;
};

}  // namespace fanfare::simulation
