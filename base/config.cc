#include "base/config.h"

#include <fmt/format.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

#include "base/nearest.h"

namespace fanfare {
namespace {

std::string_view type_name(ConfigType type) {
  switch (type) {
    case ConfigType::kText:
      return "a string";
    case ConfigType::kInteger:
      return "a whole number";
    case ConfigType::kFlag:
      return "true or false";
    case ConfigType::kDuration:
      return "a duration such as \"30s\"";
    case ConfigType::kSize:
      return "a size such as \"256MiB\"";
    case ConfigType::kTextList:
      return "an array of strings";
  }
  return "";
}

std::string suggestion(std::string_view text, const std::vector<std::string>& known) {
  const std::string meant = nearest(text, known);
  return meant.empty() ? std::string() : fmt::format("; did you mean '{}'?", meant);
}

std::string variable_part(std::string_view name) {
  std::string part;
  for (const char letter : name) {
    if (letter >= 'a' && letter <= 'z') {
      part += static_cast<char>(letter - 'a' + 'A');
    } else {
      part += letter == '-' ? '_' : letter;
    }
  }
  return part;
}

std::string variable_prefix(std::string_view section) {
  return fmt::format("FANFARE_{}_", variable_part(section));
}

// Loads one program's settings from one file and one environment.
class Loader {
 public:
  Loader(const ConfigSpec& spec, const ConfigSource& source) : spec_(spec), source_(source) {
    for (const ConfigRow& row : spec.rows()) own_sections_.insert(row.section);
  }

  Result<std::vector<ConfigSetting>> load(const std::optional<std::string_view>& text) {
    if (auto done = take_defaults(); !done) return done.error();
    if (text) {
      if (auto done = take_text(*text); !done) return done.error();
    }
    if (auto done = take_environment(); !done) return done.error();
    return std::move(settings_);
  }

 private:
  Result<void> take_defaults() {
    for (const ConfigRow& row : spec_.rows()) {
      if (auto set = row.set(row.default_text); !set) {
        return fatal(
            fmt::format("the default of {}.{}: {}", row.section, row.key, set.error().message));
      }
      settings_.push_back({row.section, row.key, row.default_text, "default"});
    }
    return {};
  }

  // ---- the file ----

  Error at(const toml::source_region& where, const std::string& message) const {
    return reject(
        fmt::format("{}:{}:{}: {}", source_.file, where.begin.line, where.begin.column, message));
  }

  Result<void> take_text(std::string_view text) {
    toml::table file;
    try {
      file = toml::parse(text, std::string_view(source_.file));
    } catch (const toml::parse_error& error) {
      return at(error.source(), std::string(error.description()));
    }
    for (const auto& [name, node] : file) {
      if (auto done = take_section(name, node); !done) return done;
    }
    return {};
  }

  Result<void> take_section(const toml::key& name, const toml::node& node) {
    const std::string section(name.str());
    const auto& others = source_.other_sections;
    if (!own_sections_.contains(section)) {
      if (std::find(others.begin(), others.end(), section) != others.end()) return {};
      std::vector<std::string> known(own_sections_.begin(), own_sections_.end());
      known.insert(known.end(), others.begin(), others.end());
      return at(name.source(), fmt::format("unknown {} '{}'{}", node.is_table() ? "section" : "key",
                                           section, suggestion(section, known)));
    }
    const toml::table* table = node.as_table();
    if (table == nullptr)
      return at(name.source(), fmt::format("'{0}' is a section: write [{0}]", section));
    for (const auto& [key, value] : *table) {
      if (auto done = take_key(section, key, value); !done) return done;
    }
    return {};
  }

  Result<void> take_key(const std::string& section, const toml::key& key, const toml::node& value) {
    const auto index = find_row(section, key.str());
    if (!index) {
      return at(key.source(), fmt::format("unknown key '{}' in section '{}'{}", key.str(), section,
                                          suggestion(key.str(), keys_of(section))));
    }
    const ConfigRow& row = spec_.rows()[*index];
    const std::string name = fmt::format("{}.{}", section, row.key);
    Result<void> set;
    std::string shown;
    if (row.type == ConfigType::kTextList) {
      const auto items = list_of(value);
      if (!items) return wrong_type(name, row, value);
      shown = fmt::format("{}", fmt::join(*items, ", "));
      set = row.set_list(*items);
    } else {
      const auto text = text_of(row.type, value);
      if (!text) return wrong_type(name, row, value);
      shown = *text;
      set = row.set(*text);
    }
    if (!set) return at(value.source(), fmt::format("{}: {}", name, set.error().message));
    settings_[*index].value = shown;
    settings_[*index].origin = fmt::format("{}:{}", source_.file, key.source().begin.line);
    return {};
  }

  Error wrong_type(const std::string& name, const ConfigRow& row, const toml::node& value) const {
    return at(value.source(), fmt::format("{} must be {}", name, type_name(row.type)));
  }

  // The value as the text that the environment would give for it, if its type fits.
  static std::optional<std::string> text_of(ConfigType type, const toml::node& value) {
    const bool number_fits =
        type == ConfigType::kInteger || type == ConfigType::kDuration || type == ConfigType::kSize;
    if (const auto* number = value.as_integer(); number != nullptr && number_fits) {
      return fmt::to_string(number->get());
    }
    if (const auto* flag = value.as_boolean(); flag != nullptr && type == ConfigType::kFlag) {
      return flag->get() ? "true" : "false";
    }
    const bool text_fits =
        type == ConfigType::kText || type == ConfigType::kDuration || type == ConfigType::kSize;
    if (const auto* text = value.as_string(); text != nullptr && text_fits) return text->get();
    return std::nullopt;
  }

  static std::optional<std::vector<std::string>> list_of(const toml::node& value) {
    const toml::array* array = value.as_array();
    if (array == nullptr) return std::nullopt;
    std::vector<std::string> items;
    for (const toml::node& item : *array) {
      const auto* text = item.as_string();
      if (text == nullptr) return std::nullopt;
      items.push_back(text->get());
    }
    return items;
  }

  // ---- the environment ----

  Result<void> take_environment() {
    for (const auto& [variable, value] : source_.environment) {
      const std::string section = section_of(variable);
      if (section.empty()) continue;
      if (auto done = take_variable(section, variable, value); !done) return done;
    }
    return {};
  }

  // The section with the longest name that the variable's begins with, be it ours or another
  // program's.
  std::string section_of(const std::string& variable) const {
    std::string longest;
    const auto consider = [&](const std::string& section) {
      if (variable.starts_with(variable_prefix(section)) && section.size() > longest.size())
        longest = section;
    };
    for (const std::string& section : own_sections_) consider(section);
    for (const std::string& section : source_.other_sections) consider(section);
    return own_sections_.contains(longest) ? longest : std::string();
  }

  Result<void> take_variable(const std::string& section, const std::string& variable,
                             const std::string& value) {
    std::vector<std::string> known;
    for (std::size_t i = 0; i < spec_.rows().size(); ++i) {
      const ConfigRow& row = spec_.rows()[i];
      if (row.section != section) continue;
      known.push_back(variable_prefix(section) + variable_part(row.key));
      if (known.back() != variable) continue;
      if (auto set = row.set(value); !set) {
        return reject(fmt::format("{}: {}", variable, set.error().message));
      }
      settings_[i].value = value;
      settings_[i].origin = "environment";
      return {};
    }
    return reject(fmt::format("unknown variable {}{}", variable, suggestion(variable, known)));
  }

  // ---- the list of settings ----

  std::optional<std::size_t> find_row(std::string_view section, std::string_view key) const {
    for (std::size_t i = 0; i < spec_.rows().size(); ++i) {
      if (spec_.rows()[i].section == section && spec_.rows()[i].key == key) return i;
    }
    return std::nullopt;
  }

  std::vector<std::string> keys_of(std::string_view section) const {
    std::vector<std::string> keys;
    for (const ConfigRow& row : spec_.rows()) {
      if (row.section == section) keys.push_back(row.key);
    }
    return keys;
  }

  const ConfigSpec& spec_;
  const ConfigSource& source_;
  std::set<std::string> own_sections_;
  std::vector<ConfigSetting> settings_;
};

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    const auto value = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (value < 0x20 || value == 0x7f) {
      out += fmt::format("\\u{:04x}", value);
    } else {
      out += letter;
    }
  }
  return out + '"';
}

std::string sample_value(const ConfigRow& row) {
  switch (row.type) {
    case ConfigType::kInteger:
    case ConfigType::kFlag:
      return row.default_text;
    case ConfigType::kText:
    case ConfigType::kDuration:
    case ConfigType::kSize:
      return quoted(row.default_text);
    case ConfigType::kTextList:
      break;
  }
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin < row.default_text.size();) {
    const std::size_t end = std::min(row.default_text.find(',', begin), row.default_text.size());
    const std::string item = row.default_text.substr(begin, end - begin);
    items.push_back(
        quoted(std::string_view(item).substr(std::min(item.find_first_not_of(' '), item.size()))));
    begin = end + 1;
  }
  return fmt::format("[{}]", fmt::join(items, ", "));
}

void append_comment(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += fmt::format("# {}\n", text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

Environment current_environment() {
  Environment variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

Result<std::vector<ConfigSetting>> load_config(const ConfigSpec& spec, const ConfigSource& source) {
  if (source.file.empty()) return Loader(spec, source).load(std::nullopt);
  std::ifstream file(source.file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return fatal(fmt::format("cannot read {}: {}", source.file, std::strerror(errno)));
  return Loader(spec, source).load(text);
}

Result<std::vector<ConfigSetting>> load_config_text(const ConfigSpec& spec,
                                                    const ConfigSource& source,
                                                    std::string_view toml) {
  return Loader(spec, source).load(toml);
}

std::string sample_config(const ConfigSpec& spec) {
  std::string out;
  std::vector<std::string> sections;
  for (const ConfigRow& row : spec.rows()) {
    if (std::find(sections.begin(), sections.end(), row.section) == sections.end()) {
      sections.push_back(row.section);
    }
  }
  for (const std::string& section : sections) {
    if (!out.empty()) out += '\n';
    if (const auto doc = spec.section_docs().find(section); doc != spec.section_docs().end()) {
      append_comment(out, doc->second);
    }
    out += fmt::format("[{}]\n", section);
    for (const ConfigRow& row : spec.rows()) {
      if (row.section != section) continue;
      out += '\n';
      append_comment(out, row.doc);
      out += fmt::format("{} = {}\n", row.key, sample_value(row));
    }
  }
  return out;
}

}  // namespace fanfare
