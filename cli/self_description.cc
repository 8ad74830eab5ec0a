#include "cli/self_description.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <vector>

namespace fanfare::cli {
namespace {

struct Flag {
  std::vector<std::string> names;  // "--since", "-n"
  bool takes_value = false;
  std::vector<std::string> choices;  // of its value, if there are only these
  std::string value;                 // what stands for it: "DURATION"
  std::string help;
};

struct Verb {
  std::string path;  // "functions list"; empty for the program
  std::string help;
  std::string positionals;  // "FUNCTION [EVENT…]"
  std::vector<Flag> flags;
  std::vector<Verb> verbs;
};

// "TEXT:{csv,jsonl}" names all there are.
std::vector<std::string> choices_of(const std::string& type) {
  std::vector<std::string> choices;
  const auto open = type.find('{');
  const auto close = type.rfind('}');
  if (open == type.npos || close == type.npos || close < open) return choices;
  std::size_t from = open + 1;
  while (from < close) {
    const std::size_t comma = std::min(type.find(',', from), close);
    choices.push_back(type.substr(from, comma - from));
    from = comma + 1;
  }
  return choices;
}

Flag describe_flag(const CLI::Option& option) {
  Flag flag;
  for (const auto& name : option.get_lnames()) flag.names.push_back("--" + name);
  for (const auto& name : option.get_snames()) flag.names.push_back("-" + name);
  flag.takes_value = option.get_items_expected_max() > 0;
  const std::string type = option.get_type_name();
  flag.choices = choices_of(type);
  flag.value = flag.choices.empty() ? type.substr(type.rfind(':') + 1) : "WORD";
  flag.help = option.get_description();
  const auto told = [&](const std::string& choice) {
    return flag.help.find(choice) != flag.help.npos;
  };
  if (!std::ranges::all_of(flag.choices, told)) {
    flag.help += fmt::format(": {}", fmt::join(flag.choices, ", "));
  }
  if (const std::string& value = option.get_default_str(); !value.empty()) {
    flag.help += fmt::format(" (default {})", value);
  }
  return flag;
}

std::string describe_positional(const CLI::Option& option) {
  std::string name = option.get_name();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::toupper(c); });
  if (option.get_items_expected_max() > 1) name += "…";
  return option.get_required() ? name : "[" + name + "]";
}

// Hidden ones, which are in no group, are left out.
Verb describe(const CLI::App& app, const std::string& path) {
  Verb verb{.path = path, .help = app.get_description()};
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;
    if (option->get_positional()) {
      verb.positionals += " " + describe_positional(*option);
    } else {
      verb.flags.push_back(describe_flag(*option));
    }
  }
  for (const CLI::App* child :
       app.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); })) {
    verb.verbs.push_back(
        describe(*child, path.empty() ? child->get_name() : path + " " + child->get_name()));
  }
  return verb;
}

std::string last_word(const std::string& path) {
  return path.substr(path.rfind(' ') + 1);
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

template <typename Do>
void for_each(const Verb& verb, const Do& act) {
  act(verb);
  for (const Verb& child : verb.verbs) for_each(child, act);
}

// Every verb takes the program's flags too, but those that it has of the same name.
std::vector<Flag> all_flags(const Verb& verb, const Verb& program) {
  std::vector<Flag> flags = verb.flags;
  if (verb.path.empty()) return flags;
  for (const Flag& common : program.flags) {
    const auto same = [&](const Flag& own) { return own.names.front() == common.names.front(); };
    if (common.names.front() != "--version" && std::ranges::none_of(verb.flags, same)) {
      flags.push_back(common);
    }
  }
  return flags;
}

// ---- manual ----

// Text for roff: a dash is one to copy, and no line is taken for a macro.
std::string roff(std::string text) {
  text = replaced(replaced(std::move(text), "\\", "\\e"), "-", "\\-");
  if (text.starts_with('.') || text.starts_with('\'')) text.insert(0, "\\&");
  return replaced(replaced(std::move(text), "\n.", "\n\\&."), "\n'", "\n\\&'");
}

void append_flags(std::string& page, const Verb& verb) {
  for (const Flag& flag : verb.flags) {
    if (flag.names.front() == "--help" && !verb.path.empty()) continue;  // said once is enough
    std::vector<std::string> names;
    for (const auto& name : flag.names) names.push_back(fmt::format("\\fB{}\\fR", roff(name)));
    page += fmt::format(".TP\n{}{}\n{}\n", fmt::join(names, ", "),
                        flag.takes_value ? fmt::format(" \\fI{}\\fR", roff(flag.value)) : "",
                        roff(flag.help));
  }
}

// ---- completions ----

// Within single quotes of a shell.
std::string quoted(std::string text) {
  return "'" + replaced(replaced(std::move(text), "'", "'\\''"), "\n", " ") + "'";
}

// In "$at $word", all that lead to a verb: " up", "functions list".
std::string steps(const Verb& program) {
  std::vector<std::string> patterns;
  for_each(program, [&](const Verb& verb) {
    if (verb.path.empty()) return;
    const auto space = verb.path.rfind(' ');
    patterns.push_back(quoted(space == verb.path.npos ? " " + verb.path : verb.path));
  });
  return fmt::format("{}", fmt::join(patterns, " | "));
}

std::string bash(const Verb& program) {
  std::string words, values;
  for_each(program, [&](const Verb& verb) {
    std::vector<std::string> all;
    for (const Verb& child : verb.verbs) all.push_back(last_word(child.path));
    for (const Flag& flag : all_flags(verb, program)) {
      all.insert(all.end(), flag.names.begin(), flag.names.end());
      if (flag.choices.empty()) continue;
      values += fmt::format("    {}) words={} ;;\n", quoted(verb.path + " " + flag.names.front()),
                            quoted(fmt::format("{}", fmt::join(flag.choices, " "))));
    }
    words += fmt::format("    {}) words={} ;;\n", quoted(verb.path),
                         quoted(fmt::format("{}", fmt::join(all, " "))));
  });
  return fmt::format(
      R"(# bash completion of fanfare, printed by `fanfare completion bash`.
_fanfare() {{
  local at='' word words='' i current=${{COMP_WORDS[COMP_CWORD]}}
  for ((i = 1; i < COMP_CWORD; ++i)); do
    word=${{COMP_WORDS[i]}}
    case "$at $word" in
      {}) at=${{at:+$at }}$word ;;
    esac
  done
  case "$at" in
{}  esac
  case "$at ${{COMP_WORDS[COMP_CWORD - 1]}}" in
{}  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}}
complete -o default -F _fanfare fanfare
)",
      steps(program), words, values);
}

std::string zsh(const Verb& program) {
  const auto described = [](const std::string& name, const std::string& help) {
    return quoted(replaced(name, ":", "\\:") + ":" + help);
  };
  std::string cases;
  for_each(program, [&](const Verb& verb) {
    std::vector<std::string> verbs, flags;
    for (const Verb& child : verb.verbs) {
      verbs.push_back(described(last_word(child.path), child.help));
    }
    for (const Flag& flag : all_flags(verb, program)) {
      for (const auto& name : flag.names) flags.push_back(described(name, flag.help));
    }
    cases += fmt::format("    {})\n      verbs=({})\n      flags=({}) ;;\n", quoted(verb.path),
                         fmt::join(verbs, " "), fmt::join(flags, " "));
  });
  return fmt::format(
      R"(#compdef fanfare
# zsh completion of fanfare, printed by `fanfare completion zsh`.
_fanfare() {{
  local at='' word
  local -a verbs flags
  for word in ${{words[2,CURRENT-1]}}; do
    case "$at $word" in
      {}) at=${{at:+$at }}$word ;;
    esac
  done
  case "$at" in
{}  esac
  if [[ $PREFIX == -* ]]; then
    _describe option flags
  elif (( $#verbs )); then
    _describe verb verbs
  else
    _files
  fi
}}
_fanfare "$@"
)",
      steps(program), cases);
}

// When the words of `path` have been said, and none of `verbs` after them.
std::string fish_condition(const Verb& verb) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  while (from < verb.path.size()) {
    const std::size_t end = std::min(verb.path.find(' ', from), verb.path.size());
    parts.push_back("__fish_seen_subcommand_from " + verb.path.substr(from, end - from));
    from = end + 1;
  }
  if (!verb.verbs.empty()) {
    std::vector<std::string> children;
    for (const Verb& child : verb.verbs) children.push_back(last_word(child.path));
    parts.push_back(fmt::format("not __fish_seen_subcommand_from {}", fmt::join(children, " ")));
  }
  return fmt::format("{}", fmt::join(parts, "; and "));
}

std::string fish(const Verb& program) {
  std::string script = "# fish completion of fanfare, printed by `fanfare completion fish`.\n";
  for_each(program, [&](const Verb& verb) {
    const std::string condition = quoted(fish_condition(verb));
    for (const Verb& child : verb.verbs) {
      script += fmt::format("complete -c fanfare -f -n {} -a {} -d {}\n", condition,
                            last_word(child.path), quoted(child.help));
    }
    for (const Flag& flag : verb.flags) {
      script += "complete -c fanfare -n " + condition;
      for (const auto& name : flag.names) {
        script += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (!flag.choices.empty()) {
        script += fmt::format(" -x -a '{}'", fmt::join(flag.choices, " "));
      } else if (flag.takes_value) {
        script += " -r";
      }
      script += " -d " + quoted(flag.help) + "\n";
    }
  });
  return script;
}

}  // namespace

std::string manual_page(const CLI::App& app, std::string_view version) {
  const Verb program = describe(app, "");
  std::string page = fmt::format(
      ".TH FANFARE 1 \"\" \"fanfare {}\" \"Fanfare\"\n"
      ".SH NAME\nfanfare \\- fans events out to functions\n"
      ".SH SYNOPSIS\n.B fanfare\n[\\fIoptions\\fR] \\fIverb\\fR [\\fIarguments\\fR]\n"
      ".SH DESCRIPTION\n{}\n.SH OPTIONS\n",
      version, roff(program.help));
  append_flags(page, program);
  page += ".SH VERBS\n";
  for_each(program, [&](const Verb& verb) {
    if (verb.path.empty() || !verb.verbs.empty()) return;
    page += fmt::format(".SS \"fanfare {}{}\"\n{}.\n", roff(verb.path), roff(verb.positionals),
                        roff(verb.help));
    append_flags(page, verb);
  });
  page += fmt::format(
      ".SH EXIT STATUS\n{}\n"
      ".SH FILES\n.TP\n.I /run/fanfare\nThe sockets of this machine's services, for root and "
      "members of group \\fBfanfare\\fR.\n"
      ".TP\n.I /etc/fanfare/fanfare.toml\nTheir settings, see \\fBfanfare.toml\\fR(5).\n"
      ".SH SEE ALSO\n\\fBfanfare\\-broker\\fR(8), \\fBfanfare\\-worker\\fR(8), "
      "\\fBfanfare\\-triggers\\fR(8), \\fBfanfare.toml\\fR(5)\n",
      roff(app.get_footer()));
  return page;
}

std::string completion_script(const CLI::App& app, std::string_view shell) {
  const Verb program = describe(app, "");
  if (shell == "bash") return bash(program);
  if (shell == "zsh") return zsh(program);
  if (shell == "fish") return fish(program);
  return {};
}

}  // namespace fanfare::cli
