// Prometheus' own tool, which says whether metrics and rules are as they should be.
#pragma once

#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "cli/child_output.h"

namespace fanfare::test {

// Where ops/setup has put it, or where it is installed.
inline std::string promtool() {
  const std::string own = FANFARE_SOURCE_DIR "/tests/promtool/promtool";
  return ::access(own.c_str(), X_OK) == 0 ? own : "promtool";
}

// Its words if it finds fault, or is not there; nothing if all is well.
inline std::string fault_found_by_promtool(const std::string& arguments) {
  const auto said = cli::run_and_capture({"/bin/sh", "-c", promtool() + " " + arguments},
                                         std::chrono::minutes{2});
  if (!said) return said.error().message;
  if (said->exit_code == 127) return "promtool is missing; ops/setup --all installs it";
  return said->exit_code == 0 ? "" : fmt::format("{}\n{}", said->how, said->output);
}

}  // namespace fanfare::test
