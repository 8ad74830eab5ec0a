// Runs a program to its end and keeps what it says.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace fanfare::cli {

struct ChildOutput {
  int exit_code = 0;   // 128 + signal if it was killed
  std::string how;     // "exit code 2", "signal 11 (Segmentation fault)"
  std::string output;  // standard output and standard error, at most 64 KiB
};

// The first word is a path, or a name that is looked for in PATH. Kills it when `timeout` has
// passed. kFatal if it cannot be started.
Result<ChildOutput> run_and_capture(const std::vector<std::string>& command, Duration timeout);

}  // namespace fanfare::cli
