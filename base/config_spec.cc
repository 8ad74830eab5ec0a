#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "base/config.h"
#include "base/size.h"

namespace fanfare {
namespace {

Result<std::int64_t> parse_integer(const std::string& text) {
  std::int64_t value = 0;
  const auto end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{} || parsed.ptr != end) {
    return reject(fmt::format("'{}' is not a whole number", text));
  }
  return value;
}

template <typename Target>
auto integer_setter(Target* target, ConfigSpec::IntegerRange range) {
  return [target, range](const std::string& text) -> Result<void> {
    const auto value = parse_integer(text);
    if (!value) return value.error();
    if (*value < range.min || *value > range.max) {
      return reject(fmt::format("{} is not between {} and {}", *value, range.min, range.max));
    }
    *target = static_cast<Target>(*value);
    return {};
  };
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    const auto first = text.find_first_not_of(' ', begin);
    const auto last = text.find_last_not_of(' ', end == 0 ? 0 : end - 1);
    if (first < end) items.push_back(text.substr(first, last - first + 1));
    begin = end + 1;
  }
  return items;
}

}  // namespace

ConfigRow& ConfigSpec::add(std::string section, std::string key, ConfigType type,
                           std::string default_text, std::string doc) {
  ConfigRow& row = rows_.emplace_back();
  row.section = std::move(section);
  row.key = std::move(key);
  row.type = type;
  row.default_text = std::move(default_text);
  row.doc = std::move(doc);
  return row;
}

void ConfigSpec::text(std::string section, std::string key, std::string* target,
                      std::string default_text, std::string doc) {
  add(std::move(section), std::move(key), ConfigType::kText, std::move(default_text),
      std::move(doc))
      .set = [target](const std::string& value) -> Result<void> {
    *target = value;
    return {};
  };
}

void ConfigSpec::choice(std::string section, std::string key, std::string* target,
                        std::string default_text, std::string doc,
                        std::vector<std::string> choices) {
  doc += fmt::format("\nOne of: {}.", fmt::join(choices, ", "));
  add(std::move(section), std::move(key), ConfigType::kText, std::move(default_text),
      std::move(doc))
      .set = [target, allowed = std::move(choices)](const std::string& value) -> Result<void> {
    if (std::find(allowed.begin(), allowed.end(), value) == allowed.end()) {
      return reject(fmt::format("'{}' is not one of {}", value, fmt::join(allowed, ", ")));
    }
    *target = value;
    return {};
  };
}

void ConfigSpec::integer(std::string section, std::string key, std::int64_t* target,
                         std::int64_t default_value, std::string doc, IntegerRange range) {
  add(std::move(section), std::move(key), ConfigType::kInteger, fmt::to_string(default_value),
      std::move(doc))
      .set = integer_setter(target, range);
}

void ConfigSpec::integer(std::string section, std::string key, std::uint32_t* target,
                         std::uint32_t default_value, std::string doc, IntegerRange range) {
  range.min = std::max<std::int64_t>(range.min, 0);
  range.max = std::min<std::int64_t>(range.max, UINT32_MAX);
  add(std::move(section), std::move(key), ConfigType::kInteger, fmt::to_string(default_value),
      std::move(doc))
      .set = integer_setter(target, range);
}

void ConfigSpec::flag(std::string section, std::string key, bool* target, bool default_value,
                      std::string doc) {
  add(std::move(section), std::move(key), ConfigType::kFlag, default_value ? "true" : "false",
      std::move(doc))
      .set = [target](const std::string& text) -> Result<void> {
    if (text != "true" && text != "false")
      return reject(fmt::format("'{}' is not true or false", text));
    *target = text == "true";
    return {};
  };
}

void ConfigSpec::duration(std::string section, std::string key, Duration* target,
                          std::string default_text, std::string doc, DurationRange range) {
  add(std::move(section), std::move(key), ConfigType::kDuration, std::move(default_text),
      std::move(doc))
      .set = [target, range](const std::string& text) -> Result<void> {
    const auto value = parse_duration(text);
    if (!value) return value.error();
    if (*value < range.min || *value > range.max) {
      return reject(fmt::format("{} is not between {} and {}", text, format_duration(range.min),
                                format_duration(range.max)));
    }
    *target = *value;
    return {};
  };
}

void ConfigSpec::size(std::string section, std::string key, std::uint64_t* target,
                      std::string default_text, std::string doc, SizeRange range) {
  add(std::move(section), std::move(key), ConfigType::kSize, std::move(default_text),
      std::move(doc))
      .set = [target, range](const std::string& text) -> Result<void> {
    const auto value = parse_size(text);
    if (!value) return value.error();
    if (*value < range.min || *value > range.max) {
      return reject(fmt::format("{} is not between {} and {}", text, format_size(range.min),
                                format_size(range.max)));
    }
    *target = *value;
    return {};
  };
}

void ConfigSpec::list(std::string section, std::string key, std::vector<std::string>* target,
                      std::string default_text, std::string doc) {
  ConfigRow& row = add(std::move(section), std::move(key), ConfigType::kTextList,
                       std::move(default_text), std::move(doc));
  row.set = [target](const std::string& text) -> Result<void> {
    *target = split_list(text);
    return {};
  };
  row.set_list = [target](const std::vector<std::string>& items) -> Result<void> {
    *target = items;
    return {};
  };
}

void ConfigSpec::describe_section(std::string section, std::string doc) {
  section_docs_[std::move(section)] = std::move(doc);
}

}  // namespace fanfare
