// The command line that all daemons share: --config FILE, --check-config, --show-config,
// --sample-config, --version, --help. Everything else is configuration.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"

namespace fanfare {

struct DaemonArguments {
  std::string program;  // "fanfare-broker"
  std::string purpose;  // one line for --help
  std::string version;
  std::vector<std::string> other_sections;  // of other programs in the same file
  // What --check-config looks at as well: files that the settings name.
  std::function<Result<void>()> also_check = {};
};

inline constexpr const char* kDefaultConfigFile = "/etc/fanfare/fanfare.toml";

// Reads the command line and fills the spec's targets. If the program has nothing more to do (help,
// version, a check, or an error, said on standard error), returns its exit code: 0, or 2 for bad
// usage and bad configuration. Without --config the default file is read if it exists.
std::optional<int> load_daemon_config(const DaemonArguments& about, const ConfigSpec& spec,
                                      int argc, char** argv);

}  // namespace fanfare
