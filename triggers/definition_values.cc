#include "triggers/definition_values.h"

#include <fmt/format.h>

#include "base/size.h"

namespace fanfare::triggers {

Result<void> read_text(const toml::node& node, std::string& target) {
  const auto text = node.value_exact<std::string>();
  if (!text) return reject("must be a text");
  target = *text;
  return {};
}

Result<void> read_texts(const toml::node& node, std::vector<std::string>& target) {
  const toml::array* const list = node.as_array();
  target.clear();
  for (std::size_t i = 0; list && i < list->size(); ++i) {
    const auto text = (*list)[i].value_exact<std::string>();
    if (!text) return reject("must be a list of texts");
    target.push_back(*text);
  }
  if (!list) return reject("must be a list of texts");
  return {};
}

Result<void> read_bytes(const toml::node& node, std::size_t& target, std::size_t max) {
  const auto number = node.value_exact<std::int64_t>();
  const auto text = node.value_exact<std::string>();
  if (!number && !text) return reject("must be a size like \"256KiB\"");
  const auto size = parse_size(number ? std::to_string(*number) : *text);
  if (!size) return size.error();
  if (*size < 1 || *size > max)
    return reject(fmt::format("must be from 1 to {}", format_size(max)));
  target = *size;
  return {};
}

Result<void> read_count(const toml::node& node, std::uint32_t& target, std::uint32_t max) {
  const auto number = node.value_exact<std::int64_t>();
  if (!number || *number < 0 || *number > max) {
    return reject(fmt::format("must be a whole number from 0 to {}", max));
  }
  target = static_cast<std::uint32_t>(*number);
  return {};
}

Result<void> read_flag(const toml::node& node, bool& target) {
  const auto flag = node.value_exact<bool>();
  if (!flag) return reject("must be true or false");
  target = *flag;
  return {};
}

Result<void> read_duration(const toml::node& node, Duration& target, Duration min) {
  const auto text = node.value_exact<std::string>();
  const auto duration = text ? parse_duration(*text) : Result<Duration>(reject(""));
  if (!duration || *duration < min) {
    return reject(
        fmt::format("must be a duration like \"30s\", at least {}", format_duration(min)));
  }
  target = *duration;
  return {};
}

}  // namespace fanfare::triggers
