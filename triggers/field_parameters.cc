#include "triggers/field_parameters.h"

#include "triggers/http.h"

namespace fanfare::triggers {
namespace {

void skip_blanks(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
}

// From the quote on; nothing if there is no other one.
std::optional<std::string> take_quoted(std::string_view& text) {
  std::string value;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      text.remove_prefix(i + 1);
      return value;
    }
    const bool escapes =
        text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\');
    value += text[escapes ? ++i : i];
  }
  return std::nullopt;
}

std::string take_token(std::string_view& text) {
  std::string_view token = text.substr(0, text.find(';'));
  text.remove_prefix(token.size());
  token = token.substr(0, token.find_last_not_of(" \t") + 1);
  return std::string{token};
}

}  // namespace

std::optional<std::vector<std::pair<std::string, std::string>>> field_parameters(
    std::string_view field) {
  std::vector<std::pair<std::string, std::string>> parameters;
  field.remove_prefix(std::min(field.find(';'), field.size()));
  while (!field.empty()) {
    if (field.front() != ';') return std::nullopt;
    field.remove_prefix(1);
    skip_blanks(field);
    if (field.empty() || field.front() == ';') continue;
    const std::size_t sign = field.find('=');
    if (sign == field.npos || sign == 0) return std::nullopt;
    std::string_view name = field.substr(0, sign);
    name = name.substr(0, name.find_last_not_of(" \t") + 1);
    field.remove_prefix(sign + 1);
    skip_blanks(field);
    std::optional<std::string> value =
        field.starts_with('"') ? take_quoted(field) : std::optional{take_token(field)};
    if (!value) return std::nullopt;
    parameters.emplace_back(lower_case(name), *std::move(value));
    skip_blanks(field);
  }
  return parameters;
}

}  // namespace fanfare::triggers
