// The settings that a daemon would start with, as it says itself (`--show-config`).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace fanfare::cli {

struct DaemonSetting {
  std::string section, key, value;
  std::string origin;    // default | file | environment
  std::string location;  // of a file's: FILE:LINE
};

// `program`: its path. `file`: what it reads, empty = its default. kFatal with its own words if it
// would not start with them.
Result<std::vector<DaemonSetting>> daemon_settings(const std::string& program,
                                                   const std::string& file);

}  // namespace fanfare::cli
