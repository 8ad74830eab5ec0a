#include "template.h"

#include <fanfare/function.h>

#include <nlohmann/json.hpp>

namespace notify {
namespace {

[[noreturn]] void refuse(std::string message) {
  throw fanfare::Failure{"TemplateError", std::move(message)}.retryable(false);
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

std::string value_at(const nlohmann::json& values, std::string_view path) {
  const nlohmann::json* at = &values;
  for (std::string_view rest = path; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    const auto found = at->is_object() ? at->find(name) : at->end();
    if (!at->is_object() || found == at->end()) {
      refuse("there is no '" + std::string(path) + "' to put into the template");
    }
    at = &*found;
  }
  return at->is_string() ? at->get<std::string>() : at->dump();
}

}  // namespace

std::string render(std::string_view text, const nlohmann::json& values) {
  std::string out;
  while (true) {
    const std::size_t open = text.find("{{");
    out += text.substr(0, open);
    if (open == std::string_view::npos) return out;
    const std::size_t close = text.find("}}", open);
    if (close == std::string_view::npos) refuse("a placeholder is not closed by }}");
    const std::string_view path = trimmed(text.substr(open + 2, close - open - 2));
    if (path.empty()) refuse("a placeholder without a name");
    out += value_at(values, path);
    text.remove_prefix(close + 2);
  }
}

}  // namespace notify
