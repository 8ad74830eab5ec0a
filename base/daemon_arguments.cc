#include "base/daemon_arguments.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <string_view>

namespace fanfare {
namespace {

constexpr int kDone = 0;
constexpr int kUsage = 2;

void print_help(const DaemonArguments& about) {
  fmt::print(
      "{0}: {1}\n\n"
      "Usage: {0} [--config FILE] [--check-config | --show-config | --sample-config]\n\n"
      "  --config FILE    settings (default {2}, if it is there)\n"
      "  --check-config   read the settings, say what is wrong with them, and end\n"
      "  --show-config    print every setting with its value and where it came from\n"
      "  --sample-config  print a commented file with the defaults\n"
      "  --version, --help\n\n"
      "Every setting can be overridden by the environment: FANFARE_<SECTION>_<KEY>.\n"
      "SIGTERM drains and ends, a second one ends at once.\n",
      about.program, about.purpose, kDefaultConfigFile);
}

}  // namespace

std::optional<int> load_daemon_config(const DaemonArguments& about, const ConfigSpec& spec,
                                      int argc, char** argv) {
  ConfigSource source{
      .file = {}, .other_sections = about.other_sections, .environment = current_environment()};
  bool check = false;
  bool show = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--help" || argument == "-h") {
      print_help(about);
      return kDone;
    }
    if (argument == "--version") {
      fmt::print("{} {}\n", about.program, about.version);
      return kDone;
    }
    if (argument == "--sample-config") {
      fmt::print("{}", sample_config(spec));
      return kDone;
    }
    if (argument == "--check-config") {
      check = true;
    } else if (argument == "--show-config") {
      show = true;
    } else if (argument == "--config" && i + 1 < argc) {
      source.file = argv[++i];
    } else if (argument.starts_with("--config=")) {
      source.file = argument.substr(9);
    } else {
      fmt::print(stderr, "{0}: unknown argument '{1}'; see {0} --help\n", about.program, argument);
      return kUsage;
    }
  }
  if (source.file.empty() && std::filesystem::exists(kDefaultConfigFile)) {
    source.file = kDefaultConfigFile;
  }
  const auto settings = load_config(spec, source);
  if (!settings) {
    fmt::print(stderr, "{}: {}\n", about.program, settings.error().message);
    return kUsage;
  }
  if (show) {
    for (const auto& setting : *settings) {
      fmt::print("{}.{} = {}  # {}\n", setting.section, setting.key, shown_value(setting),
                 setting.origin);
    }
  }
  if (check && about.also_check) {
    if (const auto fine = about.also_check(); !fine) {
      fmt::print(stderr, "{}: {}\n", about.program, fine.error().message);
      return kUsage;
    }
  }
  if (check) fmt::print("{}: the configuration is fine\n", about.program);
  if (check || show) return kDone;
  return std::nullopt;
}

}  // namespace fanfare
