// The manual and the completions against --help: what one names, all name.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "cli/child_output.h"

namespace fanfare::cli {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

std::string said_by(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), FANFARE_BIN_DIR "/fanfare");
  auto ended = run_and_capture(arguments, 30s);
  EXPECT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
  return ended->output;
}

struct Help {
  std::vector<std::string> verbs, flags;
};

Help read_help(const std::vector<std::string>& path) {
  std::vector<std::string> words = path;
  words.emplace_back("--help");
  std::istringstream lines(said_by(words));
  Help help;
  std::string part;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(' ')) part = line;
    std::smatch found;
    static const std::regex flag("^  (?:-\\w,)?(--[a-z-]+).*");
    static const std::regex verb("^  ([a-z]+) .*");
    if (part == "Options:" && std::regex_match(line, found, flag)) help.flags.push_back(found[1]);
    if (part == "Subcommands:" && std::regex_match(line, found, verb)) {
      help.verbs.push_back(found[1]);
    }
  }
  return help;
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

// Between a verb's heading and the next one's.
std::string part_of_manual(const std::string& manual, const std::string& path) {
  const std::size_t from = manual.find(".SS \"fanfare " + path);
  if (from == manual.npos) return {};
  return manual.substr(from, manual.find("\n.S", from + 1) - from);
}

TEST(SelfDescription, NamesEveryVerbAndOptionThatHelpNames) {
  const std::string manual = replaced(said_by({"manual"}), "\\-", "-");
  const std::string bash = said_by({"completion", "bash"});
  const std::string zsh = said_by({"completion", "zsh"});
  const std::string fish = said_by({"completion", "fish"});
  int seen = 0;
  const std::function<void(const std::vector<std::string>&)> look =
      [&](const std::vector<std::string>& path) {
        std::string name;
        for (const auto& word : path) name += (name.empty() ? "" : " ") + word;
        const Help help = read_help(path);
        const bool leaf = help.verbs.empty();
        // bash: a line of words for each verb.
        const std::size_t at = bash.find("    '" + name + "') words='");
        ASSERT_NE(at, bash.npos) << name;
        const std::string words = bash.substr(at, bash.find('\n', at) - at) + " ";
        for (const auto& flag : help.flags) {
          EXPECT_THAT(replaced(words, "'", " "), HasSubstr(" " + flag + " ")) << name;
          EXPECT_THAT(zsh, HasSubstr("'" + flag + ":")) << name;
          EXPECT_THAT(fish, HasSubstr(" -l " + flag.substr(2) + " ")) << name;
          const std::string part = path.empty() ? manual : part_of_manual(manual, name);
          if (flag != "--help" && (leaf || path.empty())) {
            EXPECT_THAT(part, HasSubstr(flag + "\\fR")) << name;
          }
        }
        for (const auto& verb : help.verbs) {
          EXPECT_THAT(replaced(words, "'", " "), HasSubstr(" " + verb + " ")) << name;
          EXPECT_THAT(zsh, HasSubstr("'" + verb + ":")) << name;
          EXPECT_THAT(fish, HasSubstr(" -a " + verb + " ")) << name;
          std::vector<std::string> deeper = path;
          deeper.push_back(verb);
          look(deeper);
          ++seen;
        }
      };
  look({});
  EXPECT_GT(seen, 40);
}

TEST(SelfDescription, CompletesInBash) {
  const std::string script = "eval \"$(" FANFARE_BIN_DIR
                             "/fanfare completion bash)\"; "
                             "try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _fanfare; echo "
                             "\"${COMPREPLY[*]}\"; }; ";
  const auto completed = [&](const std::string& words) {
    const auto ended = run_and_capture({"/bin/bash", "-c", script + "try " + words}, 30s);
    return ended ? ended->output : ended.error().message;
  };
  EXPECT_EQ(completed("fanfare functions de"), "describe deploy\n");
  EXPECT_EQ(completed("fanfare --data /tmp functions purge greet --y"), "--yes\n");
  EXPECT_EQ(completed("fanfare up --durability ''"), "fsync everysec memory\n");
  EXPECT_EQ(completed("fanfare compl"), "completion\n");
}

TEST(SelfDescription, KnowsThreeShells) {
  const auto ended = run_and_capture({FANFARE_BIN_DIR "/fanfare", "completion", "tcsh"}, 30s);
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 2);
  EXPECT_THAT(ended->output, HasSubstr("bash"));
}

}  // namespace
}  // namespace fanfare::cli
