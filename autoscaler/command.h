// One run of a command, without a shell: what it prints, and how it ends.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/loop.h"
#include "base/result.h"

namespace fanfare::autoscaler {

class Command {
 public:
  // Its output and errors, up to 64 KiB; what it leaves running when it ends is killed. kFatal: it
  // could not be started, was killed because it took longer than its time, or ended with another
  // exit code than 0; with what it wrote last.
  using OnEnd = std::function<void(Result<std::string>)>;

  // `words`: the program, looked for in PATH, and its arguments; `environment`: beside this
  // process's own. Calls back once, on the loop. kFatal if it cannot be started.
  static Result<std::unique_ptr<Command>> start(
      Loop& loop, const std::vector<std::string>& words,
      const std::vector<std::pair<std::string, std::string>>& environment, Duration time,
      OnEnd on_end);
  // Kills it, with all that it has started, if it runs still.
  ~Command();
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;

 private:
  struct Impl;
  explicit Command(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fanfare::autoscaler
