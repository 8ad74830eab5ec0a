#include "cli/explain.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <string_view>

#include "base/nearest.h"
#include "base/time.h"

namespace fanfare::cli {
namespace {

std::vector<std::string> verb_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(verb->get_name());
  }
  return names;
}

// The deepest verb that was recognised: where an unknown word was meant to be one of its own.
const CLI::App& innermost(const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  return chosen.empty() ? app : innermost(*chosen.front());
}

// "fanfare dlq list"
std::string whole_name(const CLI::App& verb) {
  const CLI::App* const around = verb.get_parent();
  return around ? whole_name(*around) + " " + verb.get_name() : "fanfare";
}

// The long options that count in that verb: its own, and those of the verbs around it.
std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  }
  for (const CLI::App* verb : app.get_subcommands()) {
    const auto inner = option_names(*verb);
    names.insert(names.end(), inner.begin(), inner.end());
  }
  return names;
}

// The first word that looks like an option and is none, without its value; empty if there is none.
std::string unknown_option(const std::vector<std::string>& arguments,
                           const std::vector<std::string>& known) {
  for (const std::string& word : arguments) {
    if (word == "--") break;
    if (!word.starts_with("--")) continue;
    std::string name = word.substr(0, word.find('='));
    if (std::find(known.begin(), known.end(), name) == known.end()) return name;
  }
  return {};
}

void print_verbs(const CLI::App& app) {
  std::size_t width = 0;
  for (const auto& name : verb_names(app)) width = std::max(width, name.size());
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    fmt::print(stderr, "  {:{}}  {}\n", verb->get_name(), width, verb->get_description());
  }
}

}  // namespace

std::string duration_after_wait(int argc, char** argv) {
  for (int i = 1; i + 1 < argc && std::string_view(argv[i]) != "--"; ++i) {
    if (std::string_view(argv[i]) == "--wait" && parse_duration(argv[i + 1])) return argv[i + 1];
  }
  return {};
}

int explain(const CLI::App& app, const CLI::ParseError& error,
            const std::vector<std::string>& arguments, const Output& output) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    return app.exit(error);  // --help and --version
  }
  const CLI::App& verb = innermost(app);
  const std::vector<std::string> known = verb_names(verb);
  const std::string next = fmt::format("See `{} --help`.", whole_name(verb));
  for (const std::string& word : arguments) {
    if (word.starts_with('-') || known.empty()) continue;
    if (std::find(known.begin(), known.end(), word) != known.end()) break;
    if (&verb != &app && word == verb.get_name()) continue;
    const std::string meant = nearest(word, known);
    print_error(output, fmt::format("unknown verb '{}'", word),
                meant.empty() ? next : fmt::format("Did you mean `{}`? {}", meant, next));
    return kUsage;
  }
  const int code = error.get_exit_code();
  const bool missing = code == static_cast<int>(CLI::ExitCodes::RequiredError);
  if (missing || code == static_cast<int>(CLI::ExitCodes::ExtrasError)) {
    const std::vector<std::string> options = option_names(app);
    if (const std::string word = unknown_option(arguments, options); !word.empty()) {
      const std::string meant = nearest(word, options);
      print_error(output, fmt::format("unknown option '{}'", word),
                  meant.empty() ? next : fmt::format("Did you mean `{}`? {}", meant, next));
      return kUsage;
    }
  }
  if (missing && !known.empty()) {  // the only thing such an app requires
    print_error(output, "which verb?", next);
    print_verbs(verb);
    return kUsage;
  }
  print_error(output, error.what(), next);
  return kUsage;
}

}  // namespace fanfare::cli
