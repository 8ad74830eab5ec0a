#include "cli/daemon_settings.h"

#include <algorithm>
#include <optional>

#include "base/time.h"
#include "cli/child_output.h"

namespace fanfare::cli {
namespace {

constexpr Duration kAnswerWithin = std::chrono::seconds{10};

// "section.key = value  # where from"
std::optional<DaemonSetting> read_line(const std::string& line) {
  const auto dot = line.find('.');
  const auto equals = line.find(" = ");
  const auto hash = line.rfind("  # ");
  if (dot == line.npos || equals == line.npos || hash == line.npos || dot > equals ||
      hash + 1 < equals + 3) {
    return std::nullopt;
  }
  DaemonSetting setting{line.substr(0, dot), line.substr(dot + 1, equals - dot - 1), {}, {}, {}};
  if (hash > equals + 3) setting.value = line.substr(equals + 3, hash - equals - 3);
  const std::string from = line.substr(hash + 4);
  const bool is_file = from != "default" && from != "environment";
  setting.origin = is_file ? "file" : from;
  if (is_file) setting.location = from;
  return setting;
}

}  // namespace

Result<std::vector<DaemonSetting>> daemon_settings(const std::string& program,
                                                   const std::string& file) {
  std::vector<std::string> words{program, "--show-config"};
  if (!file.empty()) words.insert(words.end(), {"--config", file});
  const auto ended = run_and_capture(words, kAnswerWithin);
  if (!ended) return ended.error();
  if (ended->exit_code != 0) {
    std::string why = ended->output;
    while (why.ends_with('\n')) why.pop_back();
    return fatal(why);
  }
  std::vector<DaemonSetting> settings;
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

}  // namespace fanfare::cli
