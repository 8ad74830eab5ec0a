// fanfare config show: what each daemon would run with, and where it has it from.
//
// The daemons know their settings, and this program knows none of theirs: each is asked, by
// --show-config, in the environment of the caller.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/daemon_arguments.h"
#include "cli/daemon_settings.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kDaemons[] = {"fanfare-broker", "fanfare-worker", "fanfare-triggers",
                                    "fanfare-autoscaler"};

// The file that the daemons of this installation read.
Result<std::string> config_file(const Common& common, const ConfigCommand& command) {
  if (!command.file.empty()) {
    if (!std::filesystem::exists(command.file)) {
      return fatal(fmt::format("there is no file {}", command.file));
    }
    return command.file;
  }
  const auto installation = find_installation(common.address);
  if (!installation) return installation.error();
  if (std::filesystem::exists(installation->config_file())) return installation->config_file();
  if (!common.address.data.empty()) {
    return reject(fmt::format("not_found: {} has no settings yet; `fanfare up` writes {}",
                              installation->dir, installation->config_file()));
  }
  return std::filesystem::exists(kDefaultConfigFile) ? std::string(kDefaultConfigFile)
                                                     : std::string{};
}

}  // namespace

int run_config_show(const Common& common, const ConfigCommand& command) {
  const auto file = config_file(common, command);
  if (!file) return fail(common.output, file.error());
  std::vector<DaemonSetting> all;
  for (const char* name : kDaemons) {
    const auto program = find_program(name);
    if (!program) continue;  // not every package has all of them
    auto settings = daemon_settings(*program, *file);
    if (!settings) return fail(common.output, settings.error());
    all.insert(all.end(), settings->begin(), settings->end());
  }
  if (common.output.json) {
    ordered_json rows = ordered_json::array();
    for (const DaemonSetting& one : all) {
      rows.push_back({{"section", one.section}, {"key", one.key}, {"value", one.value}});
      if (!command.origin) continue;
      rows.back()["origin"] = one.origin;
      rows.back()["location"] =
          one.location.empty() ? ordered_json(nullptr) : ordered_json(one.location);
    }
    print_line(ordered_json{{"file", *file}, {"settings", rows}}.dump(
        -1, ' ', false, ordered_json::error_handler_t::replace));
    return kDone;
  }
  std::vector<std::vector<std::string>> rows;
  for (const DaemonSetting& one : all) {
    rows.push_back({one.section + "." + one.key, one.value});
    if (command.origin) {
      rows.back().push_back(one.location.empty() ? one.origin : one.location);
    }
  }
  std::vector<std::string> headings{"SETTING", "VALUE"};
  if (command.origin) headings.emplace_back("FROM");
  fmt::print("{}", format_table(headings, rows, common.output.colour_out));
  return kDone;
}

}  // namespace fanfare::cli
