// fanfare config show: what each daemon would run with, and where it has it from.
//
// The daemons know their settings, and this program knows none of theirs: each is asked, by
// --show-config, in the environment of the caller.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/daemon_arguments.h"
#include "cli/child_output.h"
#include "cli/verbs.h"

namespace fanfare::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kDaemons[] = {"fanfare-broker", "fanfare-worker", "fanfare-triggers",
                                    "fanfare-autoscaler"};
constexpr Duration kAnswerWithin = std::chrono::seconds{10};

struct Setting {
  std::string section, key, value;
  std::string origin;    // default | file | environment
  std::string location;  // of a file's: FILE:LINE
};

// "section.key = value  # where from"
std::optional<Setting> read_line(const std::string& line) {
  const auto dot = line.find('.');
  const auto equals = line.find(" = ");
  const auto hash = line.rfind("  # ");
  if (dot == line.npos || equals == line.npos || hash == line.npos || dot > equals ||
      hash + 1 < equals + 3) {
    return std::nullopt;
  }
  Setting setting{line.substr(0, dot), line.substr(dot + 1, equals - dot - 1), {}, {}, {}};
  if (hash > equals + 3) setting.value = line.substr(equals + 3, hash - equals - 3);
  const std::string from = line.substr(hash + 4);
  const bool is_file = from != "default" && from != "environment";
  setting.origin = is_file ? "file" : from;
  if (is_file) setting.location = from;
  return setting;
}

Result<std::vector<Setting>> settings_of(const std::string& program, const std::string& file) {
  std::vector<std::string> words{program, "--show-config"};
  if (!file.empty()) words.insert(words.end(), {"--config", file});
  const auto ended = run_and_capture(words, kAnswerWithin);
  if (!ended) return ended.error();
  if (ended->exit_code != 0) {
    std::string why = ended->output;
    while (why.ends_with('\n')) why.pop_back();
    return fatal(why);
  }
  std::vector<Setting> settings;
  std::size_t from = 0;
  while (from < ended->output.size()) {
    const std::size_t end = std::min(ended->output.find('\n', from), ended->output.size());
    if (auto setting = read_line(ended->output.substr(from, end - from))) {
      settings.push_back(*std::move(setting));
    }
    from = end + 1;
  }
  return settings;
}

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
  std::vector<Setting> all;
  for (const char* name : kDaemons) {
    const auto program = find_program(name);
    if (!program) continue;  // not every package has all of them
    auto settings = settings_of(*program, *file);
    if (!settings) return fail(common.output, settings.error());
    all.insert(all.end(), settings->begin(), settings->end());
  }
  if (common.output.json) {
    ordered_json rows = ordered_json::array();
    for (const Setting& one : all) {
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
  for (const Setting& one : all) {
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
